//! `GET /koodrive/ose/v1/task/result`: what a batch import has done.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::task::service::ImportResultError;
use crate::task::{ImportFailure, TaskId, TaskService};
use crate::web::context::Context;
use crate::web::envelope;
use crate::web::error::{ApiError, Reason, Violation};
use crate::web::query::Query;

/// The result of a batch import.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResultAnswer {
    data: ResultData,
    #[schema(maximum = 0)]
    code: u32,
    msg: &'static str,
}

/// The counts so far.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResultData {
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
pub async fn result(
    State(tasks): State<TaskService>,
    Context(context): Context,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let task_id = read_task_id(query.as_deref())?;
    let result = tasks
        .import_result(&caller.tenant_id, &caller.user_id, task_id)
        .await?;
    Ok(envelope::json(&ResultAnswer {
        data: ResultData {
            success_count: result.success_count,
            fail_count: result.fail_count,
            fail_info_list: result.failures,
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
