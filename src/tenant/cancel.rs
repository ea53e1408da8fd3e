//! `POST /kootask/v1/tasks/{task_id}/cancel`: a task shall not be started, or shall
//! stop.

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

/// The path of the cancel call.
pub const PATH: &str = "/kootask/v1/tasks/{task_id}/cancel";

pub(super) fn call() -> Call<TaskService> {
    let call = Call::post(Access::Console, PATH, cancel)
        .named(
            "cancelTask",
            "Cancel a task",
            "Before it is started the task has failed at once, with the result code 18990002. \
             While it is executed its worker is told, and may still complete it. No attempt \
             begins after the answer.",
        )
        .parameter(in_path::<TaskId>(TaskId::NAME, examples::TASK_ID))
        .answer::<StatusAnswer>("The task's status now.", example(3))
        .error(ApiError::TaskNotFound);
    [TaskState::Success, TaskState::Failed]
        .map(ApiError::NotInThisState)
        .into_iter()
        .fold(call, Call::error)
}

async fn cancel(
    State(tasks): State<TaskService>,
    Context(context): Context,
    caller: Caller,
    InPath(id): InPath<TaskId>,
) -> Result<Answer<StatusAnswer>, ApiError> {
    context.note_task(id);
    let status = act(&tasks, caller, id, Command::Cancel).await?;
    Ok(Answer::new(&context, status))
}
