//! More is asked than the storage takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kootask::store::StoreContext;
use kootask::store::sqlite::SqliteStore;
use kootask::task::attempt::Actor;
use kootask::task::clock::SystemClock;
use kootask::task::life_cycle::{Command, Step};
use kootask::task::repository::{Created, StoreError, TaskRepository};
use kootask::task::retry::RetryPolicy;
use kootask::task::scope::{Scope, Target};
use kootask::task::{Identifier, NewTask, TaskParameters, TaskStatus};
use rusqlite::Connection;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ledger::Ledger;
use super::load::{create_keyed, settle};
use super::{LIMIT, Place};
use crate::support::process::TestProcess;
use crate::support::until;
use crate::support::wire::Wire;

/// Keeps the writer out as long as it lives.
struct WriteLock(Connection);

impl WriteLock {
    fn take(place: &Place) -> Self {
        let connection = Connection::open(place.path()).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        Self(connection)
    }

    fn release(self) {
        self.0.execute_batch("ROLLBACK").unwrap();
    }
}

fn task() -> NewTask {
    let identifier = |text: &str| text.parse::<Identifier>().unwrap();
    NewTask {
        tenant_id: identifier("tenant").into(),
        user_id: identifier("caller"),
        created_by: None,
        locale: "en-US",
        parameters: TaskParameters::Transfer {
            src_user_id: identifier("source"),
            dst_user_id: identifier("recipient"),
        },
    }
}

async fn open(place: &Place) -> Arc<SqliteStore> {
    let context = StoreContext {
        node: None,
        clock: Arc::new(SystemClock),
        migrate: true,
        max_connections: 2,
        observer: kootask::task::observer::nobody(),
        attempts: RetryPolicy::default(),
        tasks: TaskTracker::new(),
        stop: CancellationToken::new(),
    };
    Arc::new(SqliteStore::open(&place.path(), context).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_the_queues_bound_creates_are_refused_at_once() {
    const ASKED: usize = 12_000;
    /// What waits in the queue, and a batch in the writer's hands.
    const MOST_WAITING: usize = 8192 + 1024;
    let place = Place::new();
    let store = open(&place).await;
    let lock = WriteLock::take(&place);
    let refused = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    let asked = Instant::now();
    for _ in 0..ASKED {
        let (store, refused) = (Arc::clone(&store), Arc::clone(&refused));
        clients.spawn(async move {
            let outcome = store.create(task(), None).await;
            if matches!(outcome, Err(StoreError::Overloaded)) {
                refused.fetch_add(1, Ordering::SeqCst);
            }
            outcome
        });
    }
    let excess = ASKED - MOST_WAITING;
    until("refusals", async || {
        refused.load(Ordering::SeqCst) >= excess
    })
    .await;
    assert!(
        asked.elapsed() < Duration::from_secs(4),
        "the refusals took {:?}",
        asked.elapsed()
    );
    lock.release();

    let outcomes = tokio::time::timeout(LIMIT, clients.join_all())
        .await
        .unwrap();
    let created = outcomes
        .iter()
        .filter(|one| matches!(one, Ok(Created::New(_))))
        .count();
    let overloaded = refused.load(Ordering::SeqCst);
    assert!(overloaded <= ASKED - 8192, "{overloaded} were refused");
    let rows: i64 = Connection::open(place.path())
        .unwrap()
        .query_row("SELECT count(*) FROM task", [], |row| row.get(0))
        .unwrap();
    assert_eq!(usize::try_from(rows), Ok(created));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_full_of_creates_still_takes_ends_and_cancels() {
    let place = Place::new();
    let store = open(&place).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        match store.create(task(), None).await.unwrap() {
            Created::New(id) => ids.push(id),
            other => panic!("not a new task: {other:?}"),
        }
    }
    let apply = |id, command| {
        let (store, scope) = (Arc::clone(&store), Scope::everything());
        async move { store.apply(Target { id, scope }, command).await }
    };
    apply(ids[0], Command::Step(Step::Start)).await.unwrap();
    let lock = WriteLock::take(&place);
    let mut clients = JoinSet::new();
    for _ in 0..10_000 {
        let store = Arc::clone(&store);
        clients.spawn(async move { store.create(task(), None).await });
    }
    until("the queue to be full", async || {
        let full = store.create(task(), None);
        let full = tokio::time::timeout(Duration::from_millis(10), full).await;
        matches!(full, Ok(Err(StoreError::Overloaded)))
    })
    .await;
    let end = tokio::spawn(apply(ids[0], Command::Step(Step::Succeed)));
    let cancel = Command::Cancel(Actor {
        credential: None,
        user_id: "admin".parse().unwrap(),
    });
    let cancel = tokio::spawn(apply(ids[1], cancel));
    lock.release();
    let ended = end.await.unwrap().unwrap();
    assert_eq!(ended.status, TaskStatus::Success);
    let cancelled = cancel.await.unwrap().unwrap();
    assert_eq!(cancelled.status, TaskStatus::Failed);
    store.close().await;
}

#[tokio::test]
async fn while_the_writer_is_stuck_every_request_ends_within_its_time() {
    let place = Place::new();
    let process = TestProcess::configured(&format!(
        "[server]\nrequest_timeout = \"2s\"\n[store]\nurl = \"{}\"",
        place.url()
    ));
    let lock = WriteLock::take(&place);
    let mut clients = JoinSet::new();
    for number in 0..300 {
        let mut wire = Wire::connect(process.address).await;
        clients.spawn(async move {
            let source = format!("stuck-{number}-keyed");
            let asked = Instant::now();
            create_keyed(&mut wire, &source)
                .await
                .unwrap()
                .assert_unavailable();
            (source, asked.elapsed())
        });
    }
    let mut ledger = Ledger::default();
    for (source, took) in clients.join_all().await {
        assert!(took < Duration::from_secs(4), "{source} took {took:?}");
        ledger.unknown.push(source);
    }
    lock.release();
    settle(process.address, &mut ledger).await;
    assert_eq!(ledger.answered.len(), 300);
    process.kill();
    ledger.assert_kept_at(&place.path());
}
