//! `POST /kootask/v1/worker/tasks/{task_id}/fail`: an attempt failed.

use std::borrow::Cow;
use std::time::Duration;

use axum::extract::State;
use serde_json::json;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::body::{Body, Valid, fence, with_fence};
use super::report::{Done, apply, report, superseded};
use crate::auth::WorkerCaller;
use crate::task::attempt::Fence;
use crate::task::life_cycle::Command;
use crate::task::{ResultCode, TaskId, TaskService};
use crate::web::answer::Answer;
use crate::web::call::{Access, Call, in_path, schema};
use crate::web::context::Context;
use crate::web::error::{ApiError, Reason, Violation, Violations};
use crate::web::json::Object;
use crate::web::path::{InPath, PathParameter};
use crate::wire::examples;

/// The path of the fail call.
pub const PATH: &str = "/kootask/v1/worker/tasks/{task_id}/fail";

/// A week.
const MAX_AFTER_SECONDS: i64 = 7 * 24 * 3600;

pub(super) fn call() -> Call<TaskService> {
    let request = json!({"fence": 1, "resultCode": "18000205", "retry": true, "afterSeconds": 30});
    Call::post(Access::Worker, PATH, fail)
        .named(
            "failTask",
            "Report a failure",
            "With `retry` the task waits for another attempt, unless this was the last that it \
             may have; without, it has failed. A repeat of a final one is answered 200 again.",
        )
        .parameter(in_path::<TaskId>(TaskId::NAME, examples::TASK_ID))
        .body::<FailBody>([("fail", request)])
        .answer::<Done>("The attempt has failed.", examples::nothing_to_tell())
        .error(ApiError::TaskNotFound)
        .error(superseded())
}

struct FailBody {
    fence: Fence,
    code: Option<ResultCode>,
    /// Not sooner than after this, if again at all.
    retry_after: Option<Duration>,
}

impl Body for FailBody {
    fn read(fields: &Object<'_>, wrong: &mut Violations) -> Option<Self> {
        let fence = fence(fields, wrong);
        let code = wrong.keep(code(fields));
        let retry = wrong.keep(fields.boolean("retry"));
        let after = wrong.keep(fields.integer_within("afterSeconds", 0..=MAX_AFTER_SECONDS));
        let after = Duration::from_secs(after?.unwrap_or(0).unsigned_abs());
        Some(Self {
            fence: fence?,
            code: code?,
            retry_after: retry?.unwrap_or(false).then_some(after),
        })
    }
}

fn code(fields: &Object<'_>) -> Result<Option<ResultCode>, Violation> {
    const FIELD: &str = "resultCode";
    match fields.text(FIELD, 8) {
        Ok(text) => text
            .parse()
            .map(Some)
            .map_err(|_| Violation::new(FIELD, Reason::NotAResultCode)),
        Err(violation) => match violation.reason {
            Reason::Missing => Ok(None),
            Reason::Repeated => Err(violation),
            _ => Err(Violation::new(FIELD, Reason::NotAResultCode)),
        },
    }
}

impl ToSchema for FailBody {
    fn name() -> Cow<'static, str> {
        "FailRequest".into()
    }
}

impl PartialSchema for FailBody {
    fn schema() -> RefOr<Schema> {
        let code = schema::or_null(ObjectBuilder::new(), Type::String)
            .pattern(Some("^18[0-9]{6}$"))
            .description(Some("Why: the task's `resultCode`, if this is its end."));
        let retry = schema::or_null(ObjectBuilder::new(), Type::Boolean)
            .default(Some(json!(false)))
            .description(Some("Whether the task shall be tried again."));
        let after = schema::or_null(schema::integer(), Type::Integer)
            .minimum(Some(0))
            .maximum(Some(MAX_AFTER_SECONDS))
            .default(Some(json!(0)))
            .description(Some("Not sooner than after so many seconds."));
        with_fence()
            .property("resultCode", code)
            .property("retry", retry)
            .property("afterSeconds", after)
            .into()
    }
}

async fn fail(
    State(tasks): State<TaskService>,
    Context(context): Context,
    worker: WorkerCaller,
    InPath(id): InPath<TaskId>,
    Valid(body): Valid<FailBody>,
) -> Result<Answer<Done>, ApiError> {
    context.note_task(id);
    let policy = tasks.attempts();
    let command = Command::Fail {
        report: report(&worker, body.fence),
        code: body.code,
        retry: body.retry_after.map(|after| policy.backoff(after)),
    };
    apply(&tasks, worker, id, command).await?;
    Ok(Answer::new(&context, Done {}))
}
