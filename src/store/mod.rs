//! Where tasks are kept: one trait, and a backend in each folder.

pub mod memory;
pub mod postgres;
mod queue;
mod row;
pub mod schema;
pub mod sqlite;
mod url;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::task::clock::SharedClock;
use crate::task::id::IdError;
use crate::task::idempotency::{Digest, Idempotency};
use crate::task::life_cycle::{InvalidTransition, Transition};
use crate::task::list::Page;
use crate::task::{Identifier, ImportResult, NewTask, Task, TaskId, TenantId};

use self::memory::MemoryStore;
use self::postgres::PostgresStore;
use self::schema::Migrated;
use self::sqlite::SqliteStore;
pub use self::url::StoreUrl;

/// Opens the store at `url`.
///
/// # Errors
///
/// [`OpenError`].
pub async fn open(
    url: &StoreUrl,
    context: StoreContext,
) -> Result<Arc<dyn TaskRepository>, OpenError> {
    Ok(match url {
        StoreUrl::Memory => Arc::new(MemoryStore::new(context)),
        StoreUrl::Sqlite(path) => Arc::new(SqliteStore::open(path, context).await?),
        StoreUrl::Postgres(url) => Arc::new(PostgresStore::open(url, context).await?),
    })
}

/// Brings the schema of the store at `url` up to date; `None` of a store that
/// has none.
///
/// # Errors
///
/// [`OpenError`].
pub async fn migrate(url: &StoreUrl) -> Result<Option<Migrated>, OpenError> {
    Ok(match url {
        StoreUrl::Memory => None,
        StoreUrl::Sqlite(path) => Some(sqlite::migrate(path).await?),
        StoreUrl::Postgres(url) => Some(postgres::migrate(url).await?),
    })
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The SQLite store.
    #[error(transparent)]
    Sqlite(#[from] sqlite::OpenError),
    /// The PostgreSQL store.
    #[error(transparent)]
    Postgres(#[from] postgres::OpenError),
}

/// What [`TaskRepository::create`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// The task is new.
    New(TaskId),
    /// The same request created this task before.
    Before(TaskId),
    /// The idempotency key stands for a request with another body.
    Mismatch,
}

impl Created {
    /// The answer to a request whose key stands for the task `first`, which was
    /// created by a request with this body.
    fn again(request: &Idempotency, first: TaskId, body: Digest) -> Self {
        if request.body == body {
            Self::Before(first)
        } else {
            Self::Mismatch
        }
    }
}

/// Why a store did not do what it was asked to.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// As many requests wait as the store lets wait, or one waited too long for
    /// its turn.
    #[error("too many requests wait for the store")]
    Overloaded,
    /// The storage did not answer in time; whether a write took effect is
    /// unknown.
    #[error("the storage did not answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// No id can be made.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The storage failed; whether the write took effect is unknown.
    #[error("the storage failed: {0}")]
    Failed(Arc<dyn std::error::Error + Send + Sync>),
    /// A task cannot take a step from the status that it is in.
    #[error(transparent)]
    Transition(#[from] InvalidTransition),
    /// The store is closed or closing.
    #[error("the store is closed")]
    Closed,
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut => Self::Overloaded,
            sqlx::Error::PoolClosed => Self::Closed,
            error => Self::failed(error),
        }
    }
}

impl StoreError {
    fn failed(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Failed(Arc::new(cause))
    }
}

/// A store of tasks.
///
/// Ids are drawn by the store, in the order in which tasks become visible: a
/// reader never sees a task appear behind one that it saw before. Where several
/// instances share a database this holds for the tasks of each; those of another
/// can appear behind by as much as a commit takes and the clocks differ.
pub trait TaskRepository: Send + Sync + 'static {
    /// Keeps `task` under a new id, unless `idempotency` shows that the same
    /// request did so within [`crate::task::idempotency::WINDOW`].
    ///
    /// Cancel safe: when the future is dropped, the task is either kept whole
    /// or not at all.
    ///
    /// # Errors
    ///
    /// Every [`StoreError`].
    fn create(
        &self,
        task: NewTask,
        idempotency: Option<Idempotency>,
    ) -> BoxFuture<'_, Result<Created, StoreError>>;

    /// The task of this id, if it is the tenant's.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`] and [`StoreError::Closed`], as of every read.
    fn find<'a>(
        &'a self,
        tenant_id: &'a TenantId,
        id: TaskId,
    ) -> BoxFuture<'a, Result<Option<Task>, StoreError>>;

    /// A page of the tenant's tasks. Its cost depends on its size alone.
    ///
    /// # Errors
    ///
    /// As [`TaskRepository::find`].
    fn list<'a>(
        &'a self,
        tenant_id: &'a TenantId,
        page: Page,
    ) -> BoxFuture<'a, Result<Vec<Task>, StoreError>>;

    /// The tenant's newest transfer of this source user's files.
    ///
    /// # Errors
    ///
    /// As [`TaskRepository::find`].
    fn newest_transfer<'a>(
        &'a self,
        tenant_id: &'a TenantId,
        src_user_id: &'a Identifier,
    ) -> BoxFuture<'a, Result<Option<Task>, StoreError>>;

    /// The newest batch import that this user of the tenant asked for.
    ///
    /// # Errors
    ///
    /// As [`TaskRepository::find`].
    fn newest_import<'a>(
        &'a self,
        tenant_id: &'a TenantId,
        user_id: &'a Identifier,
    ) -> BoxFuture<'a, Result<Option<Task>, StoreError>>;

    /// What this batch import has done so far; nothing if it never said.
    ///
    /// # Errors
    ///
    /// As [`TaskRepository::find`].
    fn import_result(&self, id: TaskId) -> BoxFuture<'_, Result<ImportResult, StoreError>>;

    /// Lets a task take a step of its life, durably; the task after it, or
    /// `None` if there is no such task.
    ///
    /// Cancel safe, as [`TaskRepository::create`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Transition`] when the task is not in the right status.
    fn take_step(
        &self,
        id: TaskId,
        step: Transition,
    ) -> BoxFuture<'_, Result<Option<Task>, StoreError>>;

    /// Finishes what was accepted, then releases every resource. Whatever is
    /// asked afterwards fails with [`StoreError::Closed`].
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// What every backend is opened with.
#[derive(Clone)]
pub struct StoreContext {
    /// The node that ids are made for; the store's choice if `None`, which is 0
    /// where no other instance shares the store.
    pub node: Option<u16>,
    /// The clock of ids and expiry.
    pub clock: SharedClock,
    /// Whether a schema that is behind is brought up to date, or else refused.
    pub migrate: bool,
    /// The most connections to a database server, from 2 on.
    pub max_connections: u16,
}

/// Runs `attempt` until an id is free for it. The caller bounds the wait.
async fn when_an_id_is_free<T>(
    mut attempt: impl FnMut() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    loop {
        match attempt() {
            Err(StoreError::Id(IdError::Wait(wait))) => tokio::time::sleep(wait).await,
            outcome => return outcome,
        }
    }
}
