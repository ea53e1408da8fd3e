//! `GET /koodrive/ose/v1/task/result`: what a batch import has done.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::Deprecated;
use utoipa::openapi::path::ParameterBuilder;

use super::examples;
use super::wire::ImportFailure;
use crate::auth::Caller;
use crate::task::service::ImportResultError;
use crate::task::{TaskId, TaskService};
use crate::web::call::{Access, Call, query, schema};
use crate::web::context::Context;
use crate::web::envelope;
use crate::web::error::{ApiError, Reason, Violation};
use crate::web::query::Query;

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
    #[schema(maximum = 0)]
    code: u32,
    msg: &'static str,
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

/// Answers with the result of the import that is named, or of the caller's
/// newest one.
///
/// # Errors
///
/// Every [`ApiError`] that `api.md` lists for the call.
async fn result(
    State(tasks): State<TaskService>,
    Context(context): Context,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let task_id = read_task_id(query.as_deref())?;
    if let Some(task_id) = task_id {
        context.note_task(task_id);
    }
    let result = tasks
        .import_result(&caller.tenant_id, &caller.user_id, task_id)
        .await?;
    Ok(envelope::json(&ResultAnswer {
        data: ResultData {
            success_count: result.counts.succeeded,
            fail_count: result.counts.failed,
            fail_info_list: result
                .failures
                .into_iter()
                .map(ImportFailure::from)
                .collect(),
        },
        code: 0,
        msg: context.success(),
    }))
}

/// The id, under either of its names: `taskId`, or `taskid` as in KooDrive's
/// example.
fn read_task_id(query: Option<&str>) -> Result<Option<TaskId>, ApiError> {
    let read = |text: &str| text.parse().map_err(|_| Reason::NotATaskId);
    let mut query = Query::parse(query);
    let task_id = match (query.one("taskId", read), query.one("taskid", read)) {
        (Some(one), Some(other)) if one != other => {
            query.refuse("taskId", Reason::Repeated);
            None
        }
        (one, other) => one.or(other),
    };
    query.finish(task_id)
}

impl From<ImportResultError> for ApiError {
    fn from(error: ImportResultError) -> Self {
        match error {
            ImportResultError::NoTask => Self::TaskNotFound,
            ImportResultError::NotABatchImport => {
                Self::InvalidParameters(vec![Violation::new("taskId", Reason::NotABatchImport)])
            }
            ImportResultError::Store(error) => error.into(),
        }
    }
}
