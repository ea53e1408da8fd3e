//! `GET /kootask/v1/tasks/{task_id}/failures`: the users that a batch import could
//! not take, in pages or as a download.

mod csv;
mod query;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use self::query::{Cursor, FailuresQuery};
use crate::auth::Caller;
use crate::task::{Task, TaskId, TaskService, TaskType};
use crate::web::answer::Answer;
use crate::web::call::{Access, Call, in_path};
use crate::web::context::Context;
use crate::web::error::{ApiError, Reason, Violation};
use crate::web::path::{InPath, PathParameter};
use crate::wire::{ImportFailure, examples};

/// The path of the failures call.
pub const PATH: &str = "/kootask/v1/tasks/{task_id}/failures";

const ID: &str = "getTaskFailures";

pub(super) fn call() -> Call<TaskService> {
    let failure = json!({"userName": "ss", "desc": "The user exists."});
    let example = json!({
        "failures": [failure],
        "nextCursor": "1-1",
        "code": 0,
        "msg": examples::SUCCESS,
    });
    let call = Call::get(Access::Console, PATH, failures)
        .named(
            ID,
            "Read which users of an import failed",
            "Those of the last attempt, page by page. With `Accept: text/csv` all of them, with \
             a header in the language asked for; a cell that begins with `=`, `+`, `-`, `@`, a \
             tab or a carriage return gets a leading `'`, since spreadsheets would take it for a \
             formula. A download that cannot go on is cut off.",
        )
        .parameter(in_path::<TaskId>(TaskId::NAME, examples::IMPORT_ID))
        .answer::<FailuresAnswer>("A page of them.", example)
        .answer_as(
            csv::MEDIA_TYPE,
            "User name,Reason\r\nss,The user exists.\r\n",
        )
        .link("nextPage", ID, "pageCursor", "$response.body#/nextCursor")
        .error(ApiError::TaskNotFound);
    query::parameters().into_iter().fold(call, Call::parameter)
}

/// A page of failures.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct FailuresAnswer {
    #[schema(max_items = 1000)]
    failures: Vec<ImportFailure>,
    /// The `pageCursor` of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_cursor: Option<String>,
}

async fn failures(
    State(tasks): State<TaskService>,
    Context(context): Context,
    caller: Caller,
    InPath(id): InPath<TaskId>,
    headers: HeaderMap,
    query: FailuresQuery,
) -> Result<Response, ApiError> {
    context.note_task(id);
    let found = tasks.find(&caller.tenant_id, id).await?;
    let task = found.ok_or(ApiError::TaskNotFound)?;
    if task.parameters.task_type() != TaskType::BatchImport {
        return Err(Violation::new(TaskId::NAME, Reason::NotABatchImport).into());
    }
    if csv::is_asked_for(&headers) {
        return Ok(csv::download(tasks, task, context.language()));
    }
    let page = page(&tasks, &task, query).await?;
    Ok(Answer::new(&context, page).into_response())
}

async fn page(
    tasks: &TaskService,
    task: &Task,
    query: FailuresQuery,
) -> Result<FailuresAnswer, ApiError> {
    let from = match query.after {
        Some(cursor) if cursor.fence != task.fence => {
            return Err(Violation::new("pageCursor", Reason::CursorOfEarlierAttempt).into());
        }
        Some(cursor) => cursor.next,
        None => 0,
    };
    let found = tasks.failures(task, from, query.size).await?;
    let next = from.saturating_add(found.len() as u64);
    let has_more = !found.is_empty() && next < task.failure_rows;
    let cursor = Cursor {
        fence: task.fence,
        next,
    };
    Ok(FailuresAnswer {
        failures: found.into_iter().map(ImportFailure::from).collect(),
        next_cursor: has_more.then(|| cursor.to_string()),
    })
}
