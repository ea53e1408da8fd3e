//! Tasks and their rules: what a task is, its id, its idempotency and the
//! service that creates it. Knows neither HTTP nor storage engines.

pub mod attempt;
pub mod claim;
pub mod clock;
pub mod health;
pub mod id;
pub mod idempotency;
pub mod identifier;
pub mod import;
pub mod key_expiry;
pub mod life_cycle;
pub mod list;
pub mod observer;
pub mod repository;
pub mod result_code;
pub mod retry;
pub mod scope;
pub mod service;
mod status;

use jiff::Timestamp;

use self::attempt::{Attempt, Fence};
pub use self::id::TaskId;
pub use self::identifier::Identifier;
use self::import::ImportCounts;
pub use self::result_code::ResultCode;
pub use self::service::TaskService;
pub use self::status::TaskStatus;

/// The customer that a credential belongs to; its tasks are nobody else's.
///
/// 1–64 characters of `A-Z a-z 0-9 _ -`, cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(std::sync::Arc<str>);

impl TenantId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// An id that the program itself knows to be one.
    pub(crate) fn of_constant(id: &'static str) -> Self {
        Self(id.into())
    }
}

impl From<Identifier> for TenantId {
    fn from(identifier: Identifier) -> Self {
        Self(identifier.as_str().into())
    }
}

/// What kind of task it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TaskType {
    /// Transfer a leaving user's files to another user and delete the account.
    TransferAndDeletion,
    /// Import users in a batch.
    BatchImport,
}

impl TaskType {
    /// Every type.
    pub const ALL: [Self; 2] = [Self::TransferAndDeletion, Self::BatchImport];
}

/// What a task was created with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TaskParameters {
    /// Of a [`TaskType::TransferAndDeletion`].
    Transfer {
        /// The leaving user.
        src_user_id: Identifier,
        /// The recipient of the files; never the leaving user.
        dst_user_id: Identifier,
    },
    /// Of a [`TaskType::BatchImport`].
    BatchImport {
        /// The uploaded result that is imported.
        result_id: Identifier,
        /// The organization that the users join.
        org_id: Identifier,
        /// The creator within the organization.
        org_user_id: Identifier,
    },
}

impl TaskParameters {
    /// The type of a task with these parameters.
    #[must_use]
    pub const fn task_type(&self) -> TaskType {
        match self {
            Self::Transfer { .. } => TaskType::TransferAndDeletion,
            Self::BatchImport { .. } => TaskType::BatchImport,
        }
    }
}

/// A task to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTask {
    /// The tenant it belongs to.
    pub tenant_id: TenantId,
    /// The user who asked for it.
    pub user_id: Identifier,
    /// The name of the credential it was asked for with; `None` where none was
    /// required.
    pub created_by: Option<Identifier>,
    /// The BCP 47 tag of the language it was asked for in.
    pub locale: &'static str,
    /// What it shall do.
    pub parameters: TaskParameters,
}

/// A task as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id, which also tells when it was created.
    pub id: TaskId,
    /// The tenant it belongs to.
    pub tenant_id: TenantId,
    /// The user who asked for it.
    pub user_id: Identifier,
    /// The BCP 47 tag of the language it was asked for in.
    pub locale: String,
    /// What it shall do.
    pub parameters: TaskParameters,
    /// How far it is.
    pub status: TaskStatus,
    /// Why it failed. Only of [`TaskStatus::Failed`].
    pub result_code: Option<ResultCode>,
    /// When its execution began: the last attempt's, and none while it waits for
    /// another.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The name of the credential it was created with, if there was one.
    pub created_by: Option<Identifier>,
    /// How often it was started.
    pub fence: Fence,
    /// The attempts that count against the limit, since it was created or a tenant
    /// asked for a retry.
    pub attempts_counted: u32,
    /// The attempt that runs, or the last one; none of a task that no worker
    /// started.
    pub attempt: Option<Attempt>,
    /// From when on it may be tried again. Only of [`TaskStatus::Waiting`].
    pub due_at: Option<Timestamp>,
    /// A tenant asked for it to be cancelled.
    pub cancel_requested: bool,
    /// What the last attempt of a batch import has done.
    pub counts: ImportCounts,
    /// How many users that attempt has named that were not imported.
    pub failure_rows: u64,
}

impl Task {
    /// A task that was just created.
    #[must_use]
    pub fn new(id: TaskId, new: NewTask) -> Self {
        Self {
            id,
            tenant_id: new.tenant_id,
            user_id: new.user_id,
            locale: new.locale.to_owned(),
            parameters: new.parameters,
            status: TaskStatus::New,
            result_code: None,
            started_at: None,
            ended_at: None,
            created_by: new.created_by,
            fence: Fence::default(),
            attempts_counted: 0,
            attempt: None,
            due_at: None,
            cancel_requested: false,
            counts: ImportCounts::default(),
            failure_rows: 0,
        }
    }
}
