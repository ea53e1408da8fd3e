//! The stores, through the library: the contract that every backend keeps, and
//! what only one of them does.

mod contract;
mod postgres;
mod sqlite;
mod work;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use kootask::store::StoreContext;
use kootask::store::sqlite::{OpenError, SqliteStore};
use kootask::task::clock::{Clock, SystemClock};
use kootask::task::idempotency::{Idempotency, Key};
use kootask::task::life_cycle::{Command, Step};
use kootask::task::repository::{ApplyError, Created, StoreError, TaskRepository};
use kootask::task::retry::RetryPolicy;
use kootask::task::scope::{Scope, Target};
use kootask::task::{Identifier, NewTask, Task, TaskId, TaskParameters, TenantId};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The node of the tests' stores.
const NODE: u16 = 337;

/// No test waits longer than this for anything.
const LIMIT: Duration = Duration::from_secs(60);

/// The SQLite store at `path`, once nobody has it open: a program that another test is
/// starting has every file of this process for a moment.
async fn sqlite_free(
    path: &Path,
    context: impl Fn() -> StoreContext,
) -> Result<SqliteStore, OpenError> {
    let begun = Instant::now();
    loop {
        match SqliteStore::open(path, context()).await {
            Err(OpenError::InUse(_)) if begun.elapsed() < LIMIT => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            opened => return opened,
        }
    }
}

/// The machine's clock, moved: it goes on, as it must where more ids are drawn
/// than a millisecond has. In milliseconds.
#[derive(Default)]
pub(crate) struct MovedClock {
    set: AtomicI64,
    passed: AtomicI64,
}

impl MovedClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Somebody sets the clock.
    fn move_by(&self, by: SignedDuration) {
        self.set
            .fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// Time passes.
    fn pass(&self, time: SignedDuration) {
        self.passed
            .fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub(crate) fn context(self: &Arc<Self>, node: u16) -> StoreContext {
        StoreContext {
            node: Some(node),
            clock: self.clone(),
            migrate: true,
            max_connections: 8,
            attempts: RetryPolicy::default(),
            observer: kootask::task::observer::nobody(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }
}

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        let moved = [&self.set, &self.passed].map(|by| by.load(Ordering::SeqCst));
        Timestamp::now() + SignedDuration::from_millis(moved.iter().sum())
    }

    fn elapsed(&self) -> Duration {
        let passed = self.passed.load(Ordering::SeqCst);
        SystemClock.elapsed() + Duration::from_millis(passed.try_into().unwrap())
    }
}

fn identifier(text: &str) -> Identifier {
    text.parse().unwrap()
}

fn tenant() -> TenantId {
    identifier("tenant").into()
}

/// A transfer from a user of this name.
pub(crate) fn transfer(src_user_id: &str) -> NewTask {
    NewTask {
        tenant_id: tenant(),
        user_id: identifier("caller"),
        created_by: Some(identifier("app")),
        locale: "en-US",
        parameters: TaskParameters::Transfer {
            src_user_id: identifier(src_user_id),
            dst_user_id: identifier("recipient"),
        },
    }
}

/// The import of a result of this name.
fn batch_import(result_id: &str) -> NewTask {
    NewTask {
        parameters: TaskParameters::BatchImport {
            result_id: identifier(result_id),
            org_id: identifier("org"),
            org_user_id: identifier("creator"),
        },
        ..transfer("nobody")
    }
}

/// The idempotency of a request with this key and one certain body.
fn key(key: &str) -> Idempotency {
    Idempotency::new(&tenant(), Key::Header(key.as_bytes()), &[1; 32])
}

/// As [`key`], with another body.
fn key_of_another_body(key: &str) -> Idempotency {
    Idempotency::new(&tenant(), Key::Header(key.as_bytes()), &[2; 32])
}

/// Applies a command to a task of [`tenant`].
async fn apply(
    store: &Arc<dyn TaskRepository>,
    id: TaskId,
    command: Command,
) -> Result<Task, ApplyError> {
    let scope = Scope::tenant(tenant());
    store.apply(Target { id, scope }, command).await
}

/// Lets a task of [`tenant`] take a step that it must take.
async fn step(store: &Arc<dyn TaskRepository>, id: TaskId, step: Step) -> Task {
    apply(store, id, Command::Step(step)).await.unwrap()
}

/// Creates within [`LIMIT`].
pub(crate) async fn create(
    store: &Arc<dyn TaskRepository>,
    task: NewTask,
    idempotency: Option<Idempotency>,
) -> Result<Created, StoreError> {
    let created = store.create(task, idempotency);
    tokio::time::timeout(LIMIT, created)
        .await
        .expect("the store does not answer")
}

/// Creates what must be new.
async fn create_new(
    store: &Arc<dyn TaskRepository>,
    task: NewTask,
    idempotency: Option<Idempotency>,
) -> TaskId {
    match create(store, task, idempotency).await {
        Ok(Created::New(id)) => id,
        other => panic!("not a new task: {other:?}"),
    }
}

/// What became of the creates `0..count`, of which as many as a commit takes
/// are under way at a time.
async fn create_many(
    store: &Arc<dyn TaskRepository>,
    count: usize,
    request: impl Fn(usize) -> (NewTask, Option<Idempotency>) + Clone + Send + 'static,
) -> Vec<Created> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..1024 {
        let (store, next, request) = (Arc::clone(store), Arc::clone(&next), request.clone());
        clients.spawn(async move {
            let mut all = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return all;
                }
                let (task, idempotency) = request(number);
                all.push((number, store.create(task, idempotency).await.unwrap()));
            }
        });
    }
    let mut all = clients.join_all().await.concat();
    all.sort_unstable_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, created)| created).collect()
}
