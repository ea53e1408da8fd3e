//! Where tasks are kept: one trait, and a backend in each folder.

pub mod memory;
pub mod sqlite;
mod url;

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::task::clock::SharedClock;
use crate::task::id::IdError;
use crate::task::idempotency::Idempotency;
use crate::task::{NewTask, TaskId};

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
