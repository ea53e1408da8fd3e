//! `POST /kootask/v1/tasks/{task_id}/retry`: a failed task shall be tried again.

use axum::extract::State;

use super::act::{StatusAnswer, act, example};
use crate::auth::Caller;
use crate::task::life_cycle::Command;
use crate::task::{TaskId, TaskService};
use crate::web::answer::Answer;
use crate::web::call::{Access, Call, in_path};
use crate::web::context::Context;
use crate::web::error::{ApiError, TaskState};
use crate::web::path::{InPath, PathParameter};
use crate::wire::examples;

/// The path of the retry call.
pub const PATH: &str = "/kootask/v1/tasks/{task_id}/retry";

pub(super) fn call() -> Call<TaskService> {
    let call = Call::post(Access::Console, PATH, retry)
        .named(
            "retryTask",
            "Try a failed task again",
            "The task is due at once, with as many attempts as a new one may have.",
        )
        .parameter(in_path::<TaskId>(TaskId::NAME, examples::TASK_ID))
        .answer::<StatusAnswer>("The task's status now.", example(0))
        .error(ApiError::TaskNotFound);
    [
        TaskState::New,
        TaskState::Waiting,
        TaskState::Executing,
        TaskState::Success,
    ]
    .map(ApiError::NotInThisState)
    .into_iter()
    .fold(call, Call::error)
}

async fn retry(
    State(tasks): State<TaskService>,
    Context(context): Context,
    caller: Caller,
    InPath(id): InPath<TaskId>,
) -> Result<Answer<StatusAnswer>, ApiError> {
    context.note_task(id);
    let status = act(&tasks, caller, id, Command::Retry).await?;
    Ok(Answer::new(&context, status))
}
