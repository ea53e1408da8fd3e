//! Several instances of the program on one PostgreSQL: they act as one, and
//! whatever happens to the database, to an instance or to the way between them,
//! what was answered is kept and nothing is made twice.

mod crash;
mod database_away;
mod idempotency;
mod locks;
mod nodes;
mod readers;
mod sessions;
mod shutdown;
mod starting;
mod workers;

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use kootask::task::TaskId;
use tokio::task::JoinSet;

use crate::durability::ledger::Ledger;
use crate::support::postgres::TestDatabase;
use crate::support::wire::{Wire, transfer_from};

/// No test waits longer than this for a change to come.
const LIMIT: Duration = Duration::from_secs(30);

/// No request takes longer than this: the service's `request_timeout`, 10 s, and
/// what a busy machine adds.
const REQUEST_LIMIT: Duration = Duration::from_secs(15);

/// How soon after the database everybody is served again.
const RECOVERY_LIMIT: Duration = Duration::from_secs(5);

/// Of a session that waits for a lock.
const WAITS: &str = "wait_event_type = 'Lock'";

/// The path that shows a task.
fn detail(id: i64) -> String {
    format!("/koodrive/ose/v1/task/{id}")
}

/// Which of the program's sessions this expression holds for; how many.
fn sessions(database: &TestDatabase, condition: &str) -> usize {
    let count = database.sql(&format!(
        "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'kootask' AND {condition}"
    ));
    count.parse().unwrap()
}

fn node(id: i64) -> u16 {
    TaskId::new(id).unwrap().node()
}

/// The node that an instance makes ids for now, by a task that goes into the
/// ledger.
async fn node_of(address: SocketAddr, name: &str, ledger: &mut Ledger) -> u16 {
    let mut wire = Wire::connect(address).await;
    let id = wire
        .create("", &transfer_from(name))
        .await
        .unwrap()
        .task_id();
    ledger.answered.push((name.to_owned(), id));
    node(id)
}

/// No id was answered twice, and what two instances made for one node was not
/// made at the same time: all of the one is below all of the other.
#[track_caller]
fn assert_made_apart(instances: &[&Ledger]) {
    let mut all = HashSet::new();
    let mut spans: BTreeMap<u16, Vec<(i64, i64)>> = BTreeMap::new();
    for instance in instances {
        let mut of_instance: BTreeMap<u16, (i64, i64)> = BTreeMap::new();
        for (source, id) in &instance.answered {
            assert!(all.insert(*id), "{source} got the id of another task");
            let (least, most) = of_instance.entry(node(*id)).or_insert((*id, *id));
            (*least, *most) = (*id.min(least), *id.max(most));
        }
        for (node, span) in of_instance {
            spans.entry(node).or_default().push(span);
        }
    }
    for (node, mut spans) in spans {
        spans.sort_unstable();
        let apart = spans.windows(2).all(|pair| pair[0].1 < pair[1].0);
        assert!(
            apart,
            "instances made ids for node {node} at once: {spans:?}"
        );
    }
}

#[track_caller]
fn assert_in_time(ledger: &Ledger) {
    let slowest = ledger.slowest;
    assert!(slowest < REQUEST_LIMIT, "a request took {slowest:?}");
}

/// Waits until the service refuses nobody: 16 clients, each of which creates 20
/// tasks and reads every one. What is asked later than [`RECOVERY_LIMIT`] may not
/// be refused.
async fn assert_serves_everybody_soon(address: SocketAddr, name: &str, ledger: &mut Ledger) {
    let back = Instant::now();
    let mut last_refused = None;
    for attempt in 0.. {
        let mut clients = JoinSet::new();
        for number in 0..16 {
            let name = format!("{name}-attempt-{attempt}-client-{number}");
            clients.spawn(create_and_read(address, name));
        }
        let mut refused = None;
        for (client, client_refused) in clients.join_all().await {
            assert_in_time(&client);
            ledger.extend(client);
            refused = refused.max(client_refused);
        }
        let Some(refused) = refused else {
            eprintln!("{name}: the last that was refused was asked after {last_refused:?}");
            return;
        };
        let refused = refused.duration_since(back);
        assert!(
            refused < RECOVERY_LIMIT,
            "one was refused after {refused:?}"
        );
        last_refused = Some(refused);
    }
}

/// Creates and reads tasks; when the last request was asked that was refused.
async fn create_and_read(address: SocketAddr, name: String) -> (Ledger, Option<Instant>) {
    let (mut ledger, mut refused) = (Ledger::default(), None);
    let mut wire = Wire::connect(address).await;
    for number in 0..20 {
        let source = format!("{name}-{number}");
        let asked = Instant::now();
        let reply = wire.create("", &transfer_from(&source)).await.unwrap();
        ledger.slowest = ledger.slowest.max(asked.elapsed());
        if reply.status != 200 {
            reply.assert_unavailable();
            ledger.unknown.push(source);
            refused = Some(asked);
            continue;
        }
        let id = reply.task_id();
        ledger.answered.push((source, id));
        let asked = Instant::now();
        let reply = wire.read(&detail(id)).await.unwrap();
        ledger.slowest = ledger.slowest.max(asked.elapsed());
        if reply.status != 200 {
            reply.assert_unavailable();
            refused = Some(asked);
        }
    }
    (ledger, refused)
}
