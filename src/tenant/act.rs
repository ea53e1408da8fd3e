//! What a tenant asks of a task's life.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::task::attempt::Actor;
use crate::task::life_cycle::Command;
use crate::task::repository::ApplyError;
use crate::task::scope::{Scope, Target};
use crate::task::{TaskId, TaskService, TaskStatus};
use crate::web::error::{ApiError, TaskState};
use crate::wire::{StatusNumber, examples};

/// The state of the task after it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StatusAnswer {
    status: StatusNumber,
}

/// An answer with this status.
pub(super) fn example(status: u8) -> Value {
    json!({"status": status, "code": 0, "msg": examples::SUCCESS})
}

/// Has the caller ask this of a task of its tenant.
///
/// # Errors
///
/// [`ApiError::TaskNotFound`], [`ApiError::NotInThisState`], and those of a store.
pub(super) async fn act(
    tasks: &TaskService,
    caller: Caller,
    id: TaskId,
    command: impl FnOnce(Actor) -> Command,
) -> Result<StatusAnswer, ApiError> {
    let actor = Actor {
        credential: caller.credential,
        user_id: caller.user_id,
    };
    let target = Target {
        id,
        scope: Scope::tenant(caller.tenant_id),
    };
    match tasks.apply(target, command(actor)).await {
        Ok(task) => Ok(StatusAnswer {
            status: task.status.into(),
        }),
        Err(ApplyError::NoTask) => Err(ApiError::TaskNotFound),
        Err(ApplyError::Refused(refusal)) => Err(ApiError::NotInThisState(match refusal.found {
            TaskStatus::New => TaskState::New,
            TaskStatus::Waiting => TaskState::Waiting,
            TaskStatus::Executing => TaskState::Executing,
            TaskStatus::Success => TaskState::Success,
            TaskStatus::Failed => TaskState::Failed,
        })),
        Err(ApplyError::Store(error)) => Err(error.into()),
    }
}
