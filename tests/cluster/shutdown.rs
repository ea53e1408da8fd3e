//! SIGTERM: what was accepted is answered and the node is given back, and where
//! there is no database nothing waits for it for long.

use std::time::{Duration, Instant};

use super::{LIMIT, assert_in_time, node_of};
use crate::durability::ledger::Ledger;
use crate::durability::load::{Load, settle};
use crate::durability::shutdown::assert_waiting_workers_hold_nothing_up;
use crate::support::postgres::TestDatabase;
use crate::support::process::TestProcess;
use crate::support::proxy::{ClosedPort, Proxy};
use crate::support::until;
use crate::support::wire::{Wire, transfer_from};

/// Creates that are in the service's hands and lack their body.
struct Begun(Vec<(Wire, String)>);

impl Begun {
    async fn at(process: &TestProcess) -> Self {
        let mut begun = Vec::new();
        for number in 0..20 {
            let source = format!("in-flight-{number}");
            let mut wire = Wire::connect(process.address).await;
            wire.begin_create("", transfer_from(&source).len()).await;
            begun.push((wire, source));
        }
        Self(begun)
    }

    /// Sends what they lack.
    async fn finish(mut self) -> Ledger {
        for (wire, source) in &mut self.0 {
            wire.send(transfer_from(source)).await.unwrap();
        }
        let mut ledger = Ledger::default();
        for (mut wire, source) in self.0 {
            match wire.try_reply().await {
                Some(reply) if reply.status == 200 => {
                    ledger.answered.push((source, reply.task_id()));
                }
                Some(reply) => {
                    reply.assert_unavailable();
                    ledger.unknown.push(source);
                }
                // The grace period was over.
                None => ledger.unknown.push(source),
            }
        }
        ledger
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_is_answered_and_the_node_given_back_after_sigterm() {
    let database = TestDatabase::shared();
    let process = TestProcess::dev(&database.url);
    let mut ledger = Ledger::default();
    let node = node_of(process.address, "before", &mut ledger).await;
    let begun = Begun::at(&process).await;
    let address = process.address;
    process.signal("TERM");
    until("new connections to be refused", async || {
        Wire::try_connect(address).await.is_err()
    })
    .await;
    let finished = begun.finish().await;
    assert_eq!(finished.unknown, [""; 0]);
    ledger.extend(finished);
    assert_eq!(process.ended_within(LIMIT).await.code(), Some(0));
    assert!(database.is_true(&format!(
        "expires_at <= now() FROM node_lease WHERE node = {node}"
    )));
    ledger.assert_kept_by(&database);

    // Whoever starts next has the node, and goes on where the other ended.
    let next = TestProcess::dev(&database.url);
    assert_eq!(node_of(next.address, "after", &mut ledger).await, node);
    assert!(
        ledger
            .answered
            .is_sorted_by_key(|(source, _)| source == "after")
    );
    let ids = ledger.answered.iter().map(|(_, id)| *id);
    assert_eq!(ids.max(), ledger.answered.last().map(|(_, id)| *id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdowns_under_load_lose_nothing_that_was_answered() {
    let database = TestDatabase::shared();
    let mut ledger = Ledger::default();
    for (round, signal) in ["TERM", "INT", "TERM"].into_iter().enumerate() {
        let process = TestProcess::dev(&database.url);
        settle(process.address, &mut ledger).await;
        let load = Load::start(process.address, 24, &format!("round-{round}"));
        load.answers(200).await;
        process.signal(signal);
        ledger.extend(load.ended().await);
        assert_eq!(process.ended_within(LIMIT).await.code(), Some(0));
        ledger.assert_kept_by(&database);
    }
    // One after the other they had the same node.
    assert_eq!(database.sql("SELECT count(*) FROM node_lease"), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_workers_do_not_hold_the_exit_up() {
    let database = TestDatabase::shared();
    assert_waiting_workers_hold_nothing_up(TestProcess::dev(&database.url)).await;
}

/// SIGTERM, after `lose` has taken the database away.
async fn assert_ends_without_database(lose: impl FnOnce(&Proxy)) {
    let database = TestDatabase::shared();
    let proxy = Proxy::to(database.port()).await;
    let process = TestProcess::dev(&database.url_through(proxy.port));
    let load = Load::start(process.address, 8, "load");
    load.answers(100).await;
    let begun = Begun::at(&process).await;
    lose(&proxy);
    let asked = Instant::now();
    process.signal("TERM");
    let mut ledger = begun.finish().await;
    ledger.extend(load.ended().await);
    assert_eq!(process.ended_within(LIMIT).await.code(), Some(0));
    // «docker stop» kills after 10 s.
    let took = asked.elapsed();
    assert!(took < Duration::from_millis(9_800), "took {took:?}");
    assert_in_time(&ledger);
    ledger.assert_kept_by(&database);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_database_sigterm_ends_the_process_all_the_same() {
    let closed = ClosedPort::new();
    assert_ends_without_database(|proxy| {
        proxy.turn_to(closed.port);
        proxy.cut();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_database_that_says_nothing_sigterm_ends_the_process_all_the_same() {
    assert_ends_without_database(Proxy::silence).await;
}
