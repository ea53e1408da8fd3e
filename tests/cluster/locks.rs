//! Somebody else holds locks, as a migration by hand or a backup may.

use std::time::Instant;

use http::StatusCode;
use jiff::Timestamp;
use kootask::auth::stand_in::{APP_ID, APP_SECRET};
use tokio::task::JoinSet;

use super::{REQUEST_LIMIT, WAITS, assert_in_time, assert_serves_everybody_soon, detail, sessions};
use crate::durability::ledger::Ledger;
use crate::durability::load::{Load, settle};
use crate::support::client::{Call, IMPORT, USER};
use crate::support::postgres::TestDatabase;
use crate::support::process::TestProcess;
use crate::support::until;
use crate::support::wire::{Reply, Wire};

/// Reads that were asked for at the same moment.
struct Reads(JoinSet<Reply>);

impl Reads {
    async fn of(process: &TestProcess, target: &str, count: usize) -> Self {
        let mut reads = JoinSet::new();
        for _ in 0..count {
            let mut wire = Wire::connect(process.address).await;
            let target = target.to_owned();
            reads.spawn(async move {
                let asked = Instant::now();
                let reply = wire.read(&target).await.unwrap();
                let took = asked.elapsed();
                assert!(took < REQUEST_LIMIT, "a read took {took:?}");
                reply
            });
        }
        Self(reads)
    }

    async fn are_answered(self) {
        for reply in self.0.join_all().await {
            assert_eq!(reply.status, 200, "{reply:?}");
        }
    }

    async fn are_refused(self) {
        for reply in self.0.join_all().await {
            reply.assert_unavailable();
        }
    }
}

/// A table of tasks that is locked for longer than a statement may take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_tasks_are_locked_requests_are_refused_in_time_and_then_all_is_well() {
    let database = TestDatabase::shared();
    let process = TestProcess::dev(&database.url);
    let mut ledger = Ledger::default();
    super::node_of(process.address, "before", &mut ledger).await;
    let target = detail(ledger.answered[0].1);
    let load = Load::start(process.address, 16, "load");
    load.answers(100).await;
    let lock = database.lock("task");
    let reads = Reads::of(&process, &target, 16).await;
    load.refusals(32).await;
    reads.are_refused().await;
    drop(lock);
    assert_serves_everybody_soon(process.address, "afterwards", &mut ledger).await;
    Reads::of(&process, &target, 16).await.are_answered().await;
    ledger.extend(load.stop().await);
    assert_in_time(&ledger);
    settle(process.address, &mut ledger).await;
    ledger.assert_kept_by(&database);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_of_a_moment_delays_and_refuses_nobody() {
    let database = TestDatabase::shared();
    let process = TestProcess::dev(&database.url);
    let mut ledger = Ledger::default();
    super::node_of(process.address, "before", &mut ledger).await;
    let target = detail(ledger.answered[0].1);
    let load = Load::start(process.address, 16, "load");
    for _ in 0..5 {
        load.answers(50).await;
        let lock = database.lock("task");
        let reads = Reads::of(&process, &target, 4).await;
        until("the writer and a reader to wait", async || {
            sessions(&database, WAITS) >= 2
        })
        .await;
        drop(lock);
        reads.are_answered().await;
    }
    assert_eq!(load.refused(), 0);
    ledger.extend(load.stop().await);
    ledger.assert_kept_by(&database);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_that_hang_leave_a_connection_for_another_caller_and_creates_go_on() {
    let database = TestDatabase::shared();
    let process = TestProcess::configured(&format!(
        "[store]\nurl = \"{}\"\nmax_connections = 5",
        database.url
    ));
    let task = process.create(IMPORT).send().await.task_id();
    // Nothing that a create needs.
    let lock = database.lock("import_failure");
    let hanging = Reads::of(&process, kootask::api::RESULT, 2).await;
    until("one of two connections for reads to hang", async || {
        sessions(&database, WAITS) == 1
    })
    .await;
    let load = Load::start(process.address, 16, "load");
    let further = Reads::of(&process, kootask::api::RESULT, 20).await;
    let another = Call::new(process.address, "GET", &detail(task));
    let another = another.header("X-User-Id", USER).at(Timestamp::now());
    let another = another.signed(APP_ID, APP_SECRET).send().await;
    assert_eq!(another.status, StatusCode::OK, "{another:?}");
    further.are_refused().await;
    hanging.are_refused().await;
    load.answers(100).await;
    assert_eq!(load.refused(), 0);
    drop(lock);
    let again = Reads::of(&process, kootask::api::RESULT, 20).await;
    again.are_answered().await;
    let ledger = load.stop().await;
    assert_in_time(&ledger);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_cannot_be_renewed_for_a_while_refuses_no_create() {
    let database = TestDatabase::shared();
    let process = TestProcess::dev(&database.url);
    let load = Load::start(process.address, 8, "load");
    let lock = database.lock("node_lease");
    let renewals = format!("{WAITS} AND query LIKE 'UPDATE node_lease%'");
    until("the renewal to wait", async || {
        sessions(&database, &renewals) == 1
    })
    .await;
    // More than were on their way: the writer has given the renewal up, and goes on.
    load.answers(9).await;
    assert_eq!(load.refused(), 0);
    drop(lock);
    load.answers(50).await;
    let ledger = load.stop().await;
    assert_in_time(&ledger);
    ledger.assert_kept_by(&database);
}
