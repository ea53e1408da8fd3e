//! The port that stores implement.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::id::IdError;
use super::idempotency::{Digest, Idempotency};
use super::life_cycle::{InvalidTransition, Transition};
use super::list::Page;
use super::{Identifier, ImportResult, NewTask, Task, TaskId, TenantId};

/// What [`TaskRepository::create`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// The task is new.
    New(TaskId),
    /// The same request created this task already.
    Existing(TaskId),
    /// The idempotency key stands for a request with another body.
    Mismatch,
}

impl Created {
    /// The answer to a request whose key stands for the task `first`, which was
    /// created by a request with this body.
    pub(crate) fn of_existing(request: &Idempotency, first: TaskId, body: Digest) -> Self {
        if request.body == body {
            Self::Existing(first)
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

impl StoreError {
    /// [`StoreError::Failed`] with this cause.
    pub(crate) fn failed(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
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
    /// request did so within [`super::idempotency::WINDOW`].
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
