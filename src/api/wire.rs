//! What stands for what on the wire (`api.md`).

use serde::Serialize;
use utoipa::ToSchema;

use crate::task::import::ImportFailure as Failure;
use crate::task::{Identifier, TaskParameters, TaskStatus, TaskType};

/// The `taskType` of the wire.
pub(super) const fn task_type_number(task_type: TaskType) -> u8 {
    match task_type {
        TaskType::TransferAndDeletion => 0,
        TaskType::BatchImport => 1,
    }
}

/// The type with this `taskType`.
pub(super) fn task_type(number: i64) -> Option<TaskType> {
    let mut types = TaskType::ALL.into_iter();
    types.find(|task_type| i64::from(task_type_number(*task_type)) == number)
}

/// The `status` of the wire; KooDrive has no word for a task that waits to be
/// tried again.
pub(super) const fn status_number(status: TaskStatus) -> u8 {
    match status {
        TaskStatus::New | TaskStatus::Waiting => 0,
        TaskStatus::Executing => 1,
        TaskStatus::Success => 2,
        TaskStatus::Failed => 3,
    }
}

/// Every `status` that there is.
pub(super) fn status_numbers() -> Vec<u8> {
    let mut numbers: Vec<u8> = TaskStatus::ALL.into_iter().map(status_number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// Every status that is shown as this `status`; none if there is no such.
pub(super) fn statuses(number: i64) -> impl Iterator<Item = TaskStatus> {
    let all = TaskStatus::ALL.into_iter();
    all.filter(move |status| i64::from(status_number(*status)) == number)
}

/// The object whose text is `initParams`.
#[derive(Serialize)]
#[serde(untagged)]
enum InitParams<'a> {
    #[serde(rename_all = "camelCase")]
    Transfer {
        src_user_id: &'a Identifier,
        dst_user_id: &'a Identifier,
    },
    #[serde(rename_all = "camelCase")]
    BatchImport {
        result_id: &'a Identifier,
        org_id: &'a Identifier,
        org_user_id: &'a Identifier,
    },
}

/// The `initParams` of the wire: what a task was created with, as a JSON text.
pub(super) fn init_params(parameters: &TaskParameters) -> serde_json::Result<String> {
    serde_json::to_string(&match parameters {
        TaskParameters::Transfer {
            src_user_id,
            dst_user_id,
        } => InitParams::Transfer {
            src_user_id,
            dst_user_id,
        },
        TaskParameters::BatchImport {
            result_id,
            org_id,
            org_user_id,
        } => InitParams::BatchImport {
            result_id,
            org_id,
            org_user_id,
        },
    })
}

/// A user that was not imported, as on the wire.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImportFailure {
    /// The user's name.
    user_name: String,
    /// What was wrong.
    desc: String,
}

impl From<Failure> for ImportFailure {
    fn from(failure: Failure) -> Self {
        Self {
            user_name: failure.user_name,
            desc: failure.description,
        }
    }
}
