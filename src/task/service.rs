//! The task service: the one way to create a task.

use std::sync::Arc;

use super::idempotency::Idempotency;
use super::{NewTask, TaskId};
use crate::store::{Created, StoreError, TaskRepository};

/// Creates tasks in a repository. Cheap to clone.
#[derive(Clone)]
pub struct TaskService {
    repository: Arc<dyn TaskRepository>,
}

/// Why a task was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The key stands for a request with another body.
    #[error("the idempotency key was used with another body")]
    IdempotencyMismatch,
    /// The store could not keep the task.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TaskService {
    /// A service over `repository`.
    #[must_use]
    pub fn new(repository: Arc<dyn TaskRepository>) -> Self {
        Self { repository }
    }

    /// Creates `task`, or finds the one that the same request created before.
    /// The task is as durable as the repository makes it before this returns.
    ///
    /// Cancel safe: dropping the future leaves either no task or a whole one.
    ///
    /// # Errors
    ///
    /// [`CreateError`]; after [`StoreError::Failed`] it is unknown whether the
    /// task exists, as with any commit whose answer is lost.
    pub async fn create(
        &self,
        task: NewTask,
        idempotency: Option<Idempotency>,
    ) -> Result<TaskId, CreateError> {
        match self.repository.create(task, idempotency).await? {
            Created::New(id) | Created::Before(id) => Ok(id),
            Created::Mismatch => Err(CreateError::IdempotencyMismatch),
        }
    }
}
