//! `GET /kootask/v1/tasks/{task_id}/attempts`: who tried a task, and who meddled.

use axum::extract::State;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::task::attempt::{Action, ActionKind, Actor, AttemptEnd, EndedAttempt, History};
use crate::task::{Identifier, Task, TaskId, TaskService, TaskStatus};
use crate::web::answer::Answer;
use crate::web::call::{Access, Call, in_path};
use crate::web::context::Context;
use crate::web::error::ApiError;
use crate::web::path::{InPath, PathParameter};
use crate::wire::{Time, examples};

/// The path of the attempts call.
pub const PATH: &str = "/kootask/v1/tasks/{task_id}/attempts";

pub(super) fn call() -> Call<TaskService> {
    let failed = json!({
        "attempt": 1,
        "worker": "w1",
        "credential": "migrator",
        "startTime": "2024-08-12T11:09:50.310Z",
        "endTime": "2024-08-12T11:10:02.004Z",
        "state": "failed",
        "resultCode": "18000205",
    });
    let created = json!({
        "action": "create",
        "time": "2024-08-12T11:09:50.202Z",
        "credential": "my-console",
        "userId": examples::USER_ID,
    });
    let example = json!({
        "attempts": [failed],
        "actions": [created],
        "code": 0,
        "msg": examples::SUCCESS,
    });
    Call::get(Access::Console, PATH, attempts)
        .named(
            "getTaskAttempts",
            "Read who tried a task",
            "The newest 1,000 attempts and actions and the attempt that runs, each list oldest \
             first.",
        )
        .parameter(in_path::<TaskId>(TaskId::NAME, examples::TASK_ID))
        .answer::<AttemptsAnswer>("What happened to the task.", example)
        .error(ApiError::TaskNotFound)
}

/// What happened to a task.
#[derive(Debug, Serialize, ToSchema)]
struct AttemptsAnswer {
    attempts: Vec<AttemptItem>,
    actions: Vec<ActionItem>,
}

/// An attempt to execute a task.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Attempt)]
struct AttemptItem {
    /// Its number, from 1: the fence.
    #[schema(minimum = 1, format = Int64)]
    attempt: u32,
    /// What the worker calls itself; absent where no worker made the attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Identifier, required = false)]
    worker: Option<Identifier>,
    /// The name of the worker's credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Identifier, required = false)]
    credential: Option<Identifier>,
    start_time: Time,
    /// Absent while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Time, required = false)]
    end_time: Option<Time>,
    state: AttemptState,
    /// The code that the worker reported, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    result_code: Option<String>,
}

/// Whether an attempt runs, and how it ended: `released` was given back, uncounted;
/// of a `lost` one nothing more was heard in time.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum AttemptState {
    Running,
    Succeeded,
    Failed,
    Released,
    Lost,
}

impl From<AttemptEnd> for AttemptState {
    fn from(end: AttemptEnd) -> Self {
        match end {
            AttemptEnd::Succeeded => Self::Succeeded,
            AttemptEnd::Failed => Self::Failed,
            AttemptEnd::Released => Self::Released,
            AttemptEnd::Lost => Self::Lost,
        }
    }
}

impl From<EndedAttempt> for AttemptItem {
    fn from(attempt: EndedAttempt) -> Self {
        Self {
            attempt: attempt.fence.get(),
            worker: Some(attempt.worker),
            credential: Some(attempt.holder),
            start_time: attempt.started_at.into(),
            end_time: Some(attempt.ended_at.into()),
            state: attempt.end.into(),
            result_code: attempt.code.map(|code| code.to_string()),
        }
    }
}

/// Something that somebody did to a task.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Action)]
struct ActionItem {
    action: ActionName,
    time: Time,
    /// The name of the credential; absent where none was required.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Identifier, required = false)]
    credential: Option<Identifier>,
    /// The user that it acted as.
    user_id: Identifier,
}

/// What was done.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ActionName {
    Create,
    Cancel,
    Retry,
}

impl From<Action> for ActionItem {
    fn from(action: Action) -> Self {
        let Actor {
            credential,
            user_id,
        } = action.actor;
        Self {
            action: match action.kind {
                ActionKind::Cancel => ActionName::Cancel,
                ActionKind::Retry => ActionName::Retry,
            },
            time: action.at.into(),
            credential,
            user_id,
        }
    }
}

impl AttemptsAnswer {
    fn of(task: Task, history: History) -> Self {
        let own = own_attempt(&task, &history);
        let created = ActionItem {
            action: ActionName::Create,
            time: task.id.created_at().into(),
            credential: task.created_by,
            user_id: task.user_id,
        };
        let ended = history.attempts.into_iter().map(AttemptItem::from);
        let actions = history.actions.into_iter().map(ActionItem::from);
        Self {
            attempts: ended.chain(own).collect(),
            actions: std::iter::once(created).chain(actions).collect(),
        }
    }
}

/// The attempt that the task alone tells of: the one that runs or that succeeded,
/// or one that no worker made.
fn own_attempt(task: &Task, history: &History) -> Option<AttemptItem> {
    let started_at = task.started_at?;
    if history
        .attempts
        .iter()
        .any(|known| known.fence == task.fence)
    {
        return None;
    }
    let claim = task.attempt.as_ref().map(|attempt| &attempt.claim);
    Some(AttemptItem {
        attempt: task.fence.get(),
        worker: claim.map(|claim| claim.worker.clone()),
        credential: claim.map(|claim| claim.holder.clone()),
        start_time: started_at.into(),
        end_time: task.ended_at.map(Time::from),
        state: match task.status {
            TaskStatus::Success => AttemptState::Succeeded,
            TaskStatus::Failed => AttemptState::Failed,
            TaskStatus::New | TaskStatus::Waiting | TaskStatus::Executing => AttemptState::Running,
        },
        result_code: task.result_code.map(|code| code.to_string()),
    })
}

async fn attempts(
    State(tasks): State<TaskService>,
    Context(context): Context,
    caller: Caller,
    InPath(id): InPath<TaskId>,
) -> Result<Answer<AttemptsAnswer>, ApiError> {
    context.note_task(id);
    let found = tasks.history(&caller.tenant_id, id).await?;
    let (task, history) = found.ok_or(ApiError::TaskNotFound)?;
    Ok(Answer::new(&context, AttemptsAnswer::of(task, history)))
}
