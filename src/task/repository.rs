//! The port that stores implement.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::attempt::History;
use super::claim::{ClaimError, ClaimRequest};
use super::health::{Health, Load};
use super::id::IdError;
use super::idempotency::{Digest, Idempotency};
use super::import::ImportFailure;
use super::life_cycle::{Command, Refusal};
use super::list::Page;
use super::scope::Target;
use super::{Identifier, NewTask, Task, TaskId, TaskStatus, TenantId};

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
    /// What is stored is not what any version of this program wrote: our fault,
    /// and nothing that another try would mend.
    #[error("the storage is damaged: {0}")]
    Corrupt(Arc<dyn std::error::Error + Send + Sync>),
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

/// Why a command was not applied.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ApplyError {
    /// There is no such task within the scope.
    #[error("no such task")]
    NoTask,
    /// The task is left as it is.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A store of tasks. It knows three ways to write and no operation by name: what
/// a command means is [`Task::apply`]'s to say.
///
/// Ids are drawn by the store, in the order in which tasks become visible: a
/// reader never sees a task appear behind one that it saw before. Where several
/// instances share a database this holds for the tasks of each; those of another
/// can appear behind by as much as a commit takes and the clocks differ.
/// Tasks that were made while the clock was ahead keep their ids: those that are
/// made once it was set back come before them.
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

    /// Users that the last attempt of this batch import could not take, from
    /// position `from` on, at most `limit` of them.
    ///
    /// # Errors
    ///
    /// As [`TaskRepository::find`].
    fn failures<'a>(
        &'a self,
        task: &'a Task,
        from: u64,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<ImportFailure>, StoreError>>;

    /// What happened to this task: the newest 1,000 attempts and actions.
    ///
    /// # Errors
    ///
    /// As [`TaskRepository::find`].
    fn history<'a>(&'a self, task: &'a Task) -> BoxFuture<'a, Result<History, StoreError>>;

    /// Applies a command to a task by the store's clock, durably; the task after
    /// it. Commands of a moment share a commit, as creates do.
    ///
    /// Cancel safe, as [`TaskRepository::create`].
    ///
    /// # Errors
    ///
    /// [`ApplyError`]; after [`StoreError::Failed`] or [`StoreError::TimedOut`] it
    /// is unknown whether the command took effect.
    fn apply(&self, target: Target, command: Command) -> BoxFuture<'_, Result<Task, ApplyError>>;

    /// Starts tasks that are due, as many as there are, each by
    /// [`Command::Claim`]; waits for the first if there is none. Due retries come
    /// before fresh tasks, the oldest first, and the next task is that of the
    /// tenant with the fewest leases held.
    ///
    /// Cancel safe: a future that is dropped before its commit takes nothing.
    ///
    /// # Errors
    ///
    /// [`ClaimError`].
    fn claim(&self, request: ClaimRequest) -> BoxFuture<'_, Result<Vec<Task>, ClaimError>>;

    /// The service is about to end: claims that wait are answered at once, with what
    /// there is, and later ones wait for [`LAST_WAIT`] at most.
    ///
    /// [`LAST_WAIT`]: super::claim::LAST_WAIT
    fn drain(&self);

    /// How many reads the store has use for at a time. More would not be answered
    /// sooner: they would wait for a connection or a core, where nobody looks whose
    /// they are.
    fn reads_at_a_time(&self) -> usize;

    /// What a stand-in needs besides; `None` of a store that can be shared or
    /// outlives its process.
    fn controls(&self) -> Option<&dyn Controls> {
        None
    }

    /// How the store is. Answers at once, and asks the storage nothing.
    fn health(&self) -> Health {
        Health::GOOD
    }

    /// How much the store has to do. Answers at once, likewise.
    fn load(&self) -> Load {
        Load::default()
    }

    /// Finishes what was accepted, then releases every resource. Whatever is
    /// asked afterwards fails with [`StoreError::Closed`].
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// Tasks that went because there were too many.
pub type Gone = Vec<(TenantId, TaskId)>;

/// What only a store within this process can do, for a stand-in: to set tasks up
/// and to take them back, under ids and a time that are each tenant's own. None
/// of it waits.
pub trait Controls: Send + Sync {
    /// As [`TaskRepository::create`], under the first id that `draw` gives and the
    /// tenant has no task of. Keys of tasks before `first_kept` have expired.
    ///
    /// # Errors
    ///
    /// [`StoreError::Closed`], as of all of these.
    fn create_as(
        &self,
        task: NewTask,
        idempotency: Option<Idempotency>,
        draw: &mut dyn FnMut() -> TaskId,
        first_kept: TaskId,
    ) -> Result<(Created, Gone), StoreError>;

    /// Whether the same request, or another with its key, created a task.
    ///
    /// # Errors
    ///
    /// [`StoreError::Closed`].
    fn is_repeated(
        &self,
        tenant_id: &TenantId,
        idempotency: &Idempotency,
        first_kept: TaskId,
    ) -> Result<bool, StoreError>;

    /// Keeps a task as it is, in place of the tenant's task of the same id.
    ///
    /// # Errors
    ///
    /// [`StoreError::Closed`].
    fn insert(&self, task: Task) -> Result<Gone, StoreError>;

    /// Removes all of a tenant's tasks, with their keys.
    ///
    /// # Errors
    ///
    /// [`StoreError::Closed`].
    fn forget(&self, tenant_id: &TenantId) -> Result<(), StoreError>;

    /// All of a tenant's tasks, oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Closed`].
    fn tasks(&self, tenant_id: &TenantId) -> Result<Vec<Task>, StoreError>;

    /// How many tasks of this tenant are in which status.
    ///
    /// # Errors
    ///
    /// [`StoreError::Closed`].
    fn counts(&self, tenant_id: &TenantId) -> Result<Vec<(TaskStatus, usize)>, StoreError>;

    /// From now on holds at most `most` tasks: of more, ended ones go first, the
    /// oldest first, with their keys.
    fn bound(&self, most: usize);
}
