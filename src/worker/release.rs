//! `POST /kootask/v1/worker/tasks/{task_id}/release`: a task is given back.

use std::borrow::Cow;

use axum::extract::State;
use serde_json::json;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::body::{Body, Valid, fence, with_fence};
use super::report::{Done, apply, report, superseded};
use crate::auth::WorkerCaller;
use crate::task::attempt::Fence;
use crate::task::life_cycle::Command;
use crate::task::{TaskId, TaskService};
use crate::web::answer::Answer;
use crate::web::call::{Access, Call, in_path};
use crate::web::context::Context;
use crate::web::error::{ApiError, Violations};
use crate::web::json::Object;
use crate::web::path::{InPath, PathParameter};
use crate::wire::examples;

/// The path of the release call.
pub const PATH: &str = "/kootask/v1/worker/tasks/{task_id}/release";

pub(super) fn call() -> Call<TaskService> {
    Call::post(Access::Worker, PATH, release)
        .named(
            "releaseTask",
            "Give a task back",
            "For a worker that shuts down: the attempt does not count, and another may begin \
             after a second.",
        )
        .parameter(in_path::<TaskId>(TaskId::NAME, examples::TASK_ID))
        .body::<ReleaseBody>([("release", json!({"fence": 1}))])
        .answer::<Done>(
            "The task waits for another worker.",
            examples::nothing_to_tell(),
        )
        .error(ApiError::TaskNotFound)
        .error(superseded())
}

struct ReleaseBody(Fence);

impl Body for ReleaseBody {
    fn read(fields: &Object<'_>, wrong: &mut Violations) -> Option<Self> {
        fence(fields, wrong).map(Self)
    }
}

impl ToSchema for ReleaseBody {
    fn name() -> Cow<'static, str> {
        "ReleaseRequest".into()
    }
}

impl PartialSchema for ReleaseBody {
    fn schema() -> RefOr<Schema> {
        with_fence().into()
    }
}

async fn release(
    State(tasks): State<TaskService>,
    Context(context): Context,
    worker: WorkerCaller,
    InPath(id): InPath<TaskId>,
    Valid(ReleaseBody(fence)): Valid<ReleaseBody>,
) -> Result<Answer<Done>, ApiError> {
    context.note_task(id);
    let command = Command::Release(report(&worker, fence));
    apply(&tasks, worker, id, command).await?;
    Ok(Answer::new(&context, Done {}))
}
