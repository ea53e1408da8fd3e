//! `GET /koodrive/ose/v1/task/list`: the tenant's tasks, page by page.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::openapi::Time;
use crate::auth::Caller;
use crate::task::list::{Filter, Order, Page};
use crate::task::{Identifier, Task, TaskId, TaskService, TaskStatus, TaskType};
use crate::web::context::Context;
use crate::web::envelope;
use crate::web::error::{ApiError, Reason};
use crate::web::query::Query;

/// The most tasks of a page, and as many as there are without `pageSize`.
pub(super) const MAX_PAGE_SIZE: u16 = 100;

/// A page of tasks.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListAnswer {
    #[schema(max_items = 100)]
    task_list: Vec<TaskItem>,
    /// The `pageCursor` of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = TaskId)]
    next_cursor: Option<String>,
    #[schema(maximum = 0)]
    code: u32,
    msg: &'static str,
}

/// A task in a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskItem {
    #[schema(value_type = TaskId)]
    task_id: String,
    /// The source user's name, or its id; of an import `batch-import-` and the
    /// resultId.
    task_name: String,
    #[schema(value_type = TaskType)]
    task_type: u8,
    #[schema(value_type = Identifier)]
    tenant_id: String,
    #[schema(value_type = Identifier)]
    user_id: String,
    #[schema(value_type = TaskStatus)]
    status: u8,
    /// What the task was created with, as a JSON text.
    #[schema(content_media_type = "application/json")]
    init_params: String,
    /// The language that the task was created in, a BCP 47 tag.
    locale: String,
    /// Why the task failed; absent unless it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    result_code: Option<String>,
    #[schema(value_type = Time)]
    create_time: String,
    /// When its execution began; absent before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Time)]
    start_time: Option<String>,
    /// When it ended; absent before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Time)]
    end_time: Option<String>,
}

/// Answers with a page.
///
/// # Errors
///
/// Every [`ApiError`] that `api.md` lists for the call.
pub async fn list(
    State(tasks): State<TaskService>,
    Context(context): Context,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let (mut page, size) = read_page(query.as_deref())?;
    // One more tells whether there is a next page.
    page.limit = size.saturating_add(1);
    let mut found = tasks.list(&caller.tenant_id, page).await?;
    let has_more = found.len() > usize::from(size);
    found.truncate(usize::from(size));
    let next_cursor = found
        .last()
        .filter(|_| has_more)
        .map(|task| task.id.to_string());
    let task_list = found
        .into_iter()
        .map(|task| item(&tasks, task))
        .collect::<Result<_, _>>()?;
    Ok(envelope::json(&ListAnswer {
        task_list,
        next_cursor,
        code: 0,
        msg: context.success(),
    }))
}

/// The page that the query asks for, and its size.
fn read_page(query: Option<&str>) -> Result<(Page, u16), ApiError> {
    let mut query = Query::parse(query);
    let task_type = query.one("taskType", |text| {
        let number = text.parse().map_err(|_| Reason::NotAnInteger)?;
        TaskType::from_number(number).ok_or(Reason::UnknownTaskType)
    });
    let given: Vec<String> = query.all("status").map(str::to_owned).collect();
    let mut statuses = Vec::new();
    for text in given
        .iter()
        .flat_map(|list| list.split(','))
        .filter(|text| !text.is_empty())
    {
        match text.trim().parse().ok().and_then(TaskStatus::from_number) {
            Some(status) => statuses.push(status),
            None => query.refuse("status", Reason::UnknownStatus),
        }
    }
    let size = query.one("pageSize", |text| match text.parse() {
        Ok(size @ 1..=MAX_PAGE_SIZE) => Ok(size),
        _ => Err(Reason::NotAPageSize),
    });
    let after: Option<TaskId> = query.one("pageCursor", |text| {
        text.parse().map_err(|_| Reason::NotACursor)
    });
    let order = query.one("order", |text| match text {
        "asc" => Ok(Order::Ascending),
        "desc" => Ok(Order::Descending),
        _ => Err(Reason::NotAnOrder),
    });
    let size = size.unwrap_or(MAX_PAGE_SIZE);
    let page = Page {
        filter: Filter::new(task_type, &statuses),
        order: order.unwrap_or_default(),
        after,
        limit: size,
    };
    query.finish((page, size))
}

fn item(tasks: &TaskService, task: Task) -> Result<TaskItem, ApiError> {
    Ok(TaskItem {
        task_id: task.id.to_string(),
        task_name: tasks.task_name(&task),
        task_type: task.parameters.task_type() as u8,
        tenant_id: task.tenant_id.as_str().to_owned(),
        user_id: task.user_id.to_string(),
        status: task.status as u8,
        init_params: serde_json::to_string(&task.parameters).map_err(ApiError::internal)?,
        locale: task.locale,
        result_code: task.result_code,
        create_time: time(task.id.created_at()),
        start_time: task.started_at.map(time),
        end_time: task.ended_at.map(time),
    })
}

/// A time as KooDrive writes it: `2024-08-12T07:22:33.000Z`.
fn time(time: Timestamp) -> String {
    format!("{time:.3}")
}
