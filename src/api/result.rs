//! `GET /koodrive/ose/v1/task/result`: what a batch import has done.

use axum::extract::{FromRequestParts, State};
use http::request::Parts;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::Deprecated;
use utoipa::openapi::path::ParameterBuilder;

use crate::auth::Caller;
use crate::task::import::ImportResult;
use crate::task::service::ImportResultError;
use crate::task::{TaskId, TaskService};
use crate::web::answer::Answer;
use crate::web::call::{Access, Call, query, schema};
use crate::web::context::Context;
use crate::web::error::{ApiError, Reason, Violation};
use crate::web::query::Query;
use crate::wire::{ImportFailure, examples};

/// The path of the result call.
pub const PATH: &str = "/koodrive/ose/v1/task/result";

pub(super) fn call() -> Call<TaskService> {
    let failure = json!({"userName": "ss", "desc": "The user exists."});
    let example = json!({
        "data": {"successCount": 1, "failCount": 1, "failInfoList": [failure]},
        "code": 0,
        "msg": examples::SUCCESS,
    });
    let [task_id, other_spelling] = parameters();
    Call::get(Access::Console, PATH, result)
        .named(
            "getTaskResult",
            "Read the result of a batch import",
            "Before the task has ended, `data` carries the counts so far. A parameter without a \
             value counts as absent.",
        )
        .parameter(task_id)
        .parameter(other_spelling)
        .answer::<ResultAnswer>("The counts.", example)
        .error(ApiError::TaskNotFound)
}

fn parameters() -> [ParameterBuilder; 2] {
    [
        query("taskId", schema::of::<TaskId>())
            .description(Some(
                "The batch import; absent: the caller's newest. The id of a transfer gets 400.",
            ))
            .example(Some(json!(examples::IMPORT_ID))),
        query("taskid", schema::of::<TaskId>())
            .deprecated(Some(Deprecated::True))
            .description(Some(
                "Another spelling of `taskId`; where both are given they must agree.",
            )),
    ]
}

/// The result of a batch import.
#[derive(Debug, Serialize, ToSchema)]
struct ResultAnswer {
    data: ResultData,
}

/// The counts so far.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ResultData {
    /// The users that were imported.
    success_count: u64,
    /// The users that were not.
    fail_count: u64,
    /// Which ones, and why.
    fail_info_list: Vec<ImportFailure>,
}

impl From<ImportResult> for ResultData {
    fn from(result: ImportResult) -> Self {
        let failures = result.failures.into_iter();
        Self {
            success_count: result.counts.succeeded,
            fail_count: result.counts.failed,
            fail_info_list: failures.map(ImportFailure::from).collect(),
        }
    }
}

async fn result(
    State(tasks): State<TaskService>,
    Context(context): Context,
    caller: Caller,
    ResultQuery(task_id): ResultQuery,
) -> Result<Answer<ResultAnswer>, ApiError> {
    if let Some(task_id) = task_id {
        context.note_task(task_id);
    }
    let result = tasks
        .import_result(&caller.tenant_id, &caller.user_id, task_id)
        .await?;
    Ok(Answer::new(
        &context,
        ResultAnswer {
            data: result.into(),
        },
    ))
}

/// Which import is asked for, under either of its names: `taskId`, or `taskid`
/// as in KooDrive's example.
struct ResultQuery(Option<TaskId>);

impl<S: Sync> FromRequestParts<S> for ResultQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let read = |text: &str| text.parse().map_err(|_| Reason::NotATaskId);
        let mut query = Query::parse(parts.uri.query());
        let task_id = match (query.one("taskId", read), query.one("taskid", read)) {
            (Some(one), Some(other)) if one != other => {
                query.refuse("taskId", Reason::Repeated);
                None
            }
            (one, other) => one.or(other),
        };
        query.finish(Self(task_id))
    }
}

impl From<ImportResultError> for ApiError {
    fn from(error: ImportResultError) -> Self {
        match error {
            ImportResultError::NoTask => Self::TaskNotFound,
            ImportResultError::NotABatchImport => {
                Violation::new("taskId", Reason::NotABatchImport).into()
            }
            ImportResultError::Store(error) => error.into(),
        }
    }
}
