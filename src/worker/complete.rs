//! `POST /kootask/v1/worker/tasks/{task_id}/complete`: a task is done.

use std::borrow::Cow;

use axum::extract::State;
use serde_json::json;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::body::{Body, Valid, and_counts, counts, fence, with_fence};
use super::report::{Done, apply, report, superseded};
use crate::auth::WorkerCaller;
use crate::task::attempt::Fence;
use crate::task::import::ImportCounts;
use crate::task::life_cycle::Command;
use crate::task::{TaskId, TaskService};
use crate::web::answer::Answer;
use crate::web::call::{Access, Call, in_path};
use crate::web::context::Context;
use crate::web::error::{ApiError, Violations};
use crate::web::json::Object;
use crate::web::path::{InPath, PathParameter};
use crate::wire::examples;

/// The path of the complete call.
pub const PATH: &str = "/kootask/v1/worker/tasks/{task_id}/complete";

pub(super) fn call() -> Call<TaskService> {
    Call::post(Access::Worker, PATH, complete)
        .named(
            "completeTask",
            "Complete a task",
            "Ends the task well, even if it was to be cancelled. A repeat is answered 200 again.",
        )
        .parameter(in_path::<TaskId>(TaskId::NAME, examples::TASK_ID))
        .body::<CompleteBody>([("complete", json!({"fence": 1}))])
        .answer::<Done>("The task is done.", examples::nothing_to_tell())
        .error(ApiError::TaskNotFound)
        .error(superseded())
}

struct CompleteBody {
    fence: Fence,
    counts: Option<ImportCounts>,
}

impl Body for CompleteBody {
    fn read(fields: &Object<'_>, wrong: &mut Violations) -> Option<Self> {
        let fence = fence(fields, wrong);
        let counts = counts(fields, wrong);
        Some(Self {
            fence: fence?,
            counts: counts?,
        })
    }
}

impl ToSchema for CompleteBody {
    fn name() -> Cow<'static, str> {
        "CompleteRequest".into()
    }
}

impl PartialSchema for CompleteBody {
    fn schema() -> RefOr<Schema> {
        and_counts(with_fence()).into()
    }
}

async fn complete(
    State(tasks): State<TaskService>,
    Context(context): Context,
    worker: WorkerCaller,
    InPath(id): InPath<TaskId>,
    Valid(body): Valid<CompleteBody>,
) -> Result<Answer<Done>, ApiError> {
    context.note_task(id);
    let command = Command::Complete {
        report: report(&worker, body.fence),
        counts: body.counts,
    };
    apply(&tasks, worker, id, command).await?;
    Ok(Answer::new(&context, Done {}))
}
