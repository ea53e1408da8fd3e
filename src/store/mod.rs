//! Where tasks are kept: one trait, and a backend in each folder.

pub mod memory;
pub mod sqlite;
mod url;

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::task::clock::SharedClock;
use crate::task::id::IdError;
use crate::task::idempotency::Idempotency;
use crate::task::life_cycle::{InvalidTransition, Transition};
use crate::task::list::Page;
use crate::task::{Identifier, ImportResult, NewTask, Task, TaskId, TenantId};

pub use self::url::StoreUrl;

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

/// Why a store did not do what it was asked to.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// As many requests wait as the store lets wait.
    #[error("the store's queue is full")]
    Overloaded,
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

impl StoreError {
    fn failed(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Failed(Arc::new(cause))
    }
}

/// A store of tasks.
///
/// Ids are drawn by the store, in the order in which tasks become visible: a
/// reader never sees a task appear behind one that it saw before.
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
    /// The node that ids are made for.
    pub node: u16,
    /// The clock of ids and expiry.
    pub clock: SharedClock,
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
