//! The task service: the one way to create a task, to read it back and to lead
//! it through its life.

use std::sync::Arc;

use super::attempt::History;
use super::claim::{ClaimError, ClaimRequest};
use super::idempotency::Idempotency;
use super::import::{ImportFailure, ImportResult};
use super::life_cycle::Command;
use super::list::Page;
use super::observer::{CreateOutcome, TaskObserver};
use super::repository::{ApplyError, Created, StoreError, TaskRepository};
use super::retry::RetryPolicy;
use super::scope::Target;
use super::{Identifier, NewTask, Task, TaskId, TaskParameters, TaskType, TenantId};

/// Knows the names of users.
pub trait UserNames: Send + Sync + 'static {
    /// The user's name, if it is known.
    fn name(&self, user_id: &Identifier) -> Option<String>;
}

/// Tasks in a repository, named by a directory. Cheap to clone.
#[derive(Clone)]
pub struct TaskService(Arc<Parts>);

/// What a service is made of. Each request clones the service: that touches one
/// count of references, not three.
struct Parts {
    repository: Arc<dyn TaskRepository>,
    names: Arc<dyn UserNames>,
    attempts: RetryPolicy,
    observer: Arc<dyn TaskObserver>,
}

/// Why there is no import result.
#[derive(Debug, thiserror::Error)]
pub enum ImportResultError {
    /// The tenant has no such task.
    #[error("no such task")]
    NoTask,
    /// The task is a transfer.
    #[error("the task is not a batch import")]
    NotABatchImport,
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The task that a create request stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreatedTask {
    /// Its id.
    pub id: TaskId,
    /// Whether the same request had created it before.
    pub is_replayed: bool,
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
    /// A service over `repository`; `names` knows the users, `attempts` are the
    /// limits of every task, and `observer` is told of each request to create one.
    #[must_use]
    pub fn new(
        repository: Arc<dyn TaskRepository>,
        names: Arc<dyn UserNames>,
        attempts: RetryPolicy,
        observer: Arc<dyn TaskObserver>,
    ) -> Self {
        Self(Arc::new(Parts {
            repository,
            names,
            attempts,
            observer,
        }))
    }

    /// The limits of attempts, to make commands by.
    #[must_use]
    pub fn attempts(&self) -> RetryPolicy {
        self.0.attempts
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
    ) -> Result<CreatedTask, CreateError> {
        let task_type = task.parameters.task_type();
        let created = self.0.repository.create(task, idempotency).await?;
        self.0.observer.created(
            task_type,
            match created {
                Created::New(_) => CreateOutcome::New,
                Created::Existing(_) => CreateOutcome::Existing,
                Created::Mismatch => CreateOutcome::Mismatch,
            },
        );
        match created {
            Created::New(id) => Ok(CreatedTask {
                id,
                is_replayed: false,
            }),
            Created::Existing(id) => Ok(CreatedTask {
                id,
                is_replayed: true,
            }),
            Created::Mismatch => Err(CreateError::IdempotencyMismatch),
        }
    }

    /// The tenant's task of this id.
    ///
    /// # Errors
    ///
    /// [`StoreError`], as of every read.
    pub async fn find(&self, tenant: &TenantId, id: TaskId) -> Result<Option<Task>, StoreError> {
        self.0.repository.find(tenant, id).await
    }

    /// A page of the tenant's tasks.
    ///
    /// # Errors
    ///
    /// As [`TaskService::find`].
    pub async fn list(&self, tenant: &TenantId, page: Page) -> Result<Vec<Task>, StoreError> {
        self.0.repository.list(tenant, page).await
    }

    /// The tenant's task of this id, with what happened to it.
    ///
    /// # Errors
    ///
    /// As [`TaskService::find`].
    pub async fn history(
        &self,
        tenant: &TenantId,
        id: TaskId,
    ) -> Result<Option<(Task, History)>, StoreError> {
        let Some(task) = self.0.repository.find(tenant, id).await? else {
            return Ok(None);
        };
        let history = self.0.repository.history(&task).await?;
        Ok(Some((task, history)))
    }

    /// Users that the last attempt of this batch import could not take, from
    /// position `from` on, at most `limit` of them.
    ///
    /// # Errors
    ///
    /// As [`TaskService::find`].
    pub async fn failures(
        &self,
        task: &Task,
        from: u64,
        limit: u32,
    ) -> Result<Vec<ImportFailure>, StoreError> {
        self.0.repository.failures(task, from, limit).await
    }

    /// What a batch import has done so far: this one, or the newest that the
    /// user asked for.
    ///
    /// # Errors
    ///
    /// [`ImportResultError`].
    pub async fn import_result(
        &self,
        tenant: &TenantId,
        user: &Identifier,
        id: Option<TaskId>,
    ) -> Result<ImportResult, ImportResultError> {
        let task = match id {
            Some(id) => self.0.repository.find(tenant, id).await?,
            None => self.0.repository.newest_import(tenant, user).await?,
        };
        let task = task.ok_or(ImportResultError::NoTask)?;
        match task.parameters.task_type() {
            TaskType::BatchImport => Ok(ImportResult {
                counts: task.counts,
                failures: self
                    .0
                    .repository
                    .failures(&task, 0, ImportResult::MAX_FAILURES)
                    .await?,
            }),
            TaskType::TransferAndDeletion => Err(ImportResultError::NotABatchImport),
        }
    }

    /// The recipient of the newest transfer of this user's files.
    ///
    /// # Errors
    ///
    /// As [`TaskService::find`].
    pub async fn recipient(
        &self,
        tenant: &TenantId,
        src_user_id: &Identifier,
    ) -> Result<Option<Identifier>, StoreError> {
        let transfer = self
            .0
            .repository
            .newest_transfer(tenant, src_user_id)
            .await?;
        Ok(transfer.and_then(|task| match task.parameters {
            TaskParameters::Transfer { dst_user_id, .. } => Some(dst_user_id),
            TaskParameters::BatchImport { .. } => None,
        }))
    }

    /// Applies a command to a task; the task after it.
    ///
    /// Cancel safe, as [`TaskService::create`].
    ///
    /// # Errors
    ///
    /// [`ApplyError`].
    pub async fn apply(&self, target: Target, command: Command) -> Result<Task, ApplyError> {
        self.0.repository.apply(target, command).await
    }

    /// Starts tasks that are due; waits for the first if there is none.
    ///
    /// Cancel safe, as [`TaskService::create`].
    ///
    /// # Errors
    ///
    /// [`ClaimError`].
    pub async fn claim(&self, request: ClaimRequest) -> Result<Vec<Task>, ClaimError> {
        self.0.repository.claim(request).await
    }

    /// A task's name: that of its source user, or the user's id; of an import,
    /// `batch-import-` and the id of what is imported (`api.md`).
    #[must_use]
    pub fn task_name(&self, task: &Task) -> String {
        match &task.parameters {
            TaskParameters::Transfer { src_user_id, .. } => self
                .user_name(src_user_id)
                .unwrap_or_else(|| src_user_id.to_string()),
            TaskParameters::BatchImport { result_id, .. } => format!("batch-import-{result_id}"),
        }
    }

    /// A user's name, where the directory knows it.
    #[must_use]
    pub fn user_name(&self, user_id: &Identifier) -> Option<String> {
        self.0.names.name(user_id)
    }
}
