//! Node numbers: an instance that is stopped or cut off loses its node, another
//! takes it, and what both made stays apart.

use std::net::SocketAddr;
use std::time::Duration;

use super::readers::Readers;
use super::{assert_in_time, assert_made_apart, node, node_of};
use crate::durability::ledger::Ledger;
use crate::durability::load::{Load, settle};
use crate::support::postgres::TestDatabase;
use crate::support::process::TestProcess;
use crate::support::proxy::Proxy;
use crate::support::until;

/// A load that goes on for as long as a lease.
fn load(address: SocketAddr, name: &str) -> Load {
    Load::start_resting(address, 4, name, Duration::from_millis(20))
}

/// Waits, in the database, until the lease is over, and nobody has it.
async fn lease_is_over(database: &TestDatabase, node: u16) {
    let lease = format!("node_lease WHERE node = {node}");
    until("the lease to end", async || {
        let is_over = database.sql(&format!(
            "DO $$ BEGIN PERFORM pg_sleep_until(expires_at) FROM {lease}; END $$;
             SELECT expires_at < clock_timestamp() FROM {lease}"
        ));
        is_over == "t"
    })
    .await;
}

/// Has three instances at work; the first is lost for so long that a newcomer
/// takes its node, and comes back. What the first answered, all that was answered.
async fn change_hands(
    database: &TestDatabase,
    first: &TestProcess,
    lose: impl AsyncFnOnce(&Load),
    regain: impl FnOnce(),
) -> (Ledger, Ledger) {
    let others = [0, 1].map(|_| TestProcess::dev(&database.url));
    let mut probes = Ledger::default();
    let contested = node_of(first.address, "first-before", &mut probes).await;
    let first_load = load(first.address, "first");
    let other_loads = [0, 1].map(|other| load(others[other].address, &format!("other-{other}")));
    first_load.answers(50).await;

    lose(&first_load).await;
    lease_is_over(database, contested).await;
    let newcomer = TestProcess::dev(&database.url);
    let newcomer_load = load(newcomer.address, "newcomer");
    newcomer_load.answers(50).await;
    regain();
    // What it may still answer of before, and more.
    first_load.answers(100).await;
    newcomer_load.answers(50).await;

    let first_made = first_load.stop().await;
    let newcomer_made = newcomer_load.stop().await;
    let mut made = vec![first_made.clone(), newcomer_made];
    for load in other_loads {
        made.push(load.stop().await);
    }
    let on_contested = |ledger: &Ledger| {
        let ids = ledger.answered.iter().map(|(_, id)| *id);
        ids.filter(|id| node(*id) == contested).collect::<Vec<_>>()
    };
    let (before, after) = (on_contested(&made[0]), on_contested(&made[1]));
    assert!(before.len() >= 50, "the first did not have the node");
    assert_eq!(
        after.len(),
        made[1].answered.len(),
        "the newcomer did not take the node"
    );
    assert!(before.iter().max() < after.iter().min());
    assert_made_apart(&made.iter().collect::<Vec<_>>());
    let now = node_of(first.address, "first-after", &mut probes).await;
    assert_ne!(now, contested);
    assert!(database.is_true("count(*) = 4 FROM node_lease WHERE expires_at > now()"));

    let mut all = probes;
    for ledger in made {
        all.extend(ledger);
    }
    settle(first.address, &mut all).await;
    all.assert_kept_by(database);
    (first_made, all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_was_stopped_goes_on_with_another_node() {
    let database = TestDatabase::shared();
    let first = TestProcess::dev(&database.url);
    let stop = async |_: &Load| first.signal("STOP");
    change_hands(&database, &first, stop, || first.signal("CONT")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_was_cut_off_goes_on_with_another_node() {
    let database = TestDatabase::shared();
    let proxy = Proxy::to(database.port()).await;
    let first = TestProcess::dev(&database.url_through(proxy.port));
    let cut_off = async |load: &Load| {
        proxy.silence();
        load.refusals(8).await;
    };
    let (first_made, _) = change_hands(&database, &first, cut_off, || proxy.heal()).await;
    assert_in_time(&first_made);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_is_cut_off_for_a_moment_keeps_its_node() {
    let database = TestDatabase::shared();
    let proxy = Proxy::to(database.port()).await;
    let process = TestProcess::dev(&database.url_through(proxy.port));
    let mut ledger = Ledger::default();
    let before = node_of(process.address, "before", &mut ledger).await;
    let readers = Readers::start(process.address, 8, ledger.answered[0].1);
    let load = Load::start(process.address, 8, "load");
    load.answers(50).await;
    proxy.silence();
    load.refusals(8).await;
    // As after a failover: whoever held the connections until now is gone.
    proxy.heal_for_new();
    super::assert_serves_everybody_soon(process.address, "healed", &mut ledger).await;
    let after = node_of(process.address, "after", &mut ledger).await;
    assert_eq!(before, after);
    eprintln!("{:?}", readers.stop().await);
    ledger.extend(load.stop().await);
    assert_in_time(&ledger);
    settle(process.address, &mut ledger).await;
    ledger.assert_kept_by(&database);
}
