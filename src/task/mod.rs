//! Tasks and their rules: what a task is, its id, its idempotency and the
//! service that creates it. Knows neither HTTP nor storage engines.

pub mod clock;
pub mod id;
pub mod idempotency;
pub mod identifier;
pub mod life_cycle;
pub mod list;
pub mod repository;
pub mod service;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::id::TaskId;
pub use self::identifier::Identifier;
pub use self::service::TaskService;

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
}

impl From<Identifier> for TenantId {
    fn from(identifier: Identifier) -> Self {
        Self(identifier.as_str().into())
    }
}

/// The `taskType` of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TaskType {
    /// Transfer a leaving user's files to another user and delete the account.
    TransferAndDeletion = 0,
    /// Import users in a batch.
    BatchImport = 1,
}

impl TaskType {
    /// Both types, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::TransferAndDeletion, Self::BatchImport];

    /// The type of this number.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as i64 == number)
    }
}

/// The `status` of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TaskStatus {
    /// Created, not started.
    New = 0,
    /// Being executed.
    Executing = 1,
    /// Ended well.
    Success = 2,
    /// Ended with a result code.
    Failed = 3,
}

impl TaskStatus {
    /// Every status, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::New, Self::Executing, Self::Success, Self::Failed];

    /// The status of this number.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|status| *status as i64 == number)
    }
}

/// What a task was created with; its JSON is the `initParams` of the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TaskParameters {
    /// Of a [`TaskType::TransferAndDeletion`].
    #[serde(rename_all = "camelCase")]
    Transfer {
        /// The leaving user.
        src_user_id: Identifier,
        /// The recipient of the files; never the leaving user.
        dst_user_id: Identifier,
    },
    /// Of a [`TaskType::BatchImport`].
    #[serde(rename_all = "camelCase")]
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
    /// Why it failed: a KooDrive code, `18…`. Only of [`TaskStatus::Failed`].
    pub result_code: Option<String>,
    /// When its execution began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
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
        }
    }
}

/// What a batch import has done so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportResult {
    /// The users that were imported.
    pub success_count: u64,
    /// The users that were not.
    pub fail_count: u64,
    /// Which ones, and why.
    pub failures: Vec<ImportFailure>,
}

/// A user that was not imported, as on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportFailure {
    /// The user's name.
    pub user_name: String,
    /// What was wrong.
    pub desc: String,
}
