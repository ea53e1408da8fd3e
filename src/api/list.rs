//! `GET /koodrive/ose/v1/task/list`: the tenant's tasks, page by page.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::path::{ParameterBuilder, ParameterStyle};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};

use super::examples;
use super::schemas::Time;
use super::wire;
use crate::auth::Caller;
use crate::task::list::{Filter, Order, Page};
use crate::task::{Identifier, Task, TaskId, TaskService, TaskStatus, TaskType};
use crate::web::call::{Access, Call, query, schema};
use crate::web::context::Context;
use crate::web::envelope;
use crate::web::error::{ApiError, Reason};
use crate::web::query::Query;

/// The most tasks of a page, and as many as there are without `pageSize`.
const MAX_PAGE_SIZE: u16 = 100;

/// The path of the list call.
pub const PATH: &str = "/koodrive/ose/v1/task/list";

/// The name of the call's page in KooDrive's reference.
const ID: &str = "getTaskList";

pub(super) fn call() -> Call<TaskService> {
    let call = Call::get(Access::Console, PATH, list)
        .named(
            ID,
            "List tasks",
            "The tenant's tasks, page by page. A parameter without a value counts as absent.",
        )
        .answer::<ListAnswer>("A page of tasks.", example())
        .link("nextPage", ID, "pageCursor", "$response.body#/nextCursor");
    parameters().into_iter().fold(call, Call::parameter)
}

fn parameters() -> [ParameterBuilder; 5] {
    let statuses = ArrayBuilder::new().items(schema::of::<TaskStatus>());
    let page_size = schema::integer()
        .minimum(Some(1))
        .maximum(Some(MAX_PAGE_SIZE))
        .default(Some(json!(MAX_PAGE_SIZE)));
    let order = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(["asc", "desc"]))
        .default(Some(json!("asc")));
    [
        query("taskType", schema::of::<TaskType>()).description(Some("Only tasks of this type.")),
        query("status", statuses)
            .style(Some(ParameterStyle::Form))
            .explode(Some(true))
            .description(Some(
                "Only tasks in one of these statuses: `status=1&status=2` or `status=1,2`.",
            )),
        query("pageSize", page_size).description(Some("The most tasks of a page.")),
        query("pageCursor", schema::of::<TaskId>()).description(Some(
            "The `nextCursor` of the page before. Walking it gives every task that existed at \
             the start exactly once, whatever is created meanwhile.",
        )),
        query("order", order).description(Some("`asc`: oldest first; `desc`: newest first.")),
    ]
}

/// The first page of a longer list.
fn example() -> Value {
    const LAST_ID: &str = "1486368980720435072";
    let transfer = json!({
        "srcUserId": examples::SRC_USER_ID,
        "dstUserId": examples::DST_USER_ID,
    });
    let item = json!({
        "taskId": LAST_ID,
        "taskName": examples::SRC_USER_ID,
        "taskType": 0,
        "tenantId": examples::TENANT_ID,
        "userId": examples::USER_ID,
        "status": 1,
        "initParams": transfer.to_string(),
        "locale": "en-US",
        "createTime": "2024-08-12T11:09:50.202Z",
        "startTime": "2024-08-12T11:09:50.310Z",
    });
    json!({"taskList": [item], "nextCursor": LAST_ID, "code": 0, "msg": examples::SUCCESS})
}

/// A page of tasks.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ListAnswer {
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
struct TaskItem {
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
async fn list(
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
        wire::task_type(number).ok_or(Reason::UnknownTaskType)
    });
    let given: Vec<String> = query.all("status").map(str::to_owned).collect();
    let mut statuses = Vec::new();
    for text in given
        .iter()
        .flat_map(|list| list.split(','))
        .filter(|text| !text.is_empty())
    {
        let before = statuses.len();
        statuses.extend(
            text.trim()
                .parse()
                .ok()
                .into_iter()
                .flat_map(wire::statuses),
        );
        if statuses.len() == before {
            query.refuse("status", Reason::UnknownStatus);
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
        task_type: wire::task_type_number(task.parameters.task_type()),
        tenant_id: task.tenant_id.as_str().to_owned(),
        user_id: task.user_id.to_string(),
        status: wire::status_number(task.status),
        init_params: wire::init_params(&task.parameters).map_err(ApiError::internal)?,
        locale: task.locale,
        result_code: task.result_code.map(|code| code.to_string()),
        create_time: time(task.id.created_at()),
        start_time: task.started_at.map(time),
        end_time: task.ended_at.map(time),
    })
}

/// A time as KooDrive writes it: `2024-08-12T07:22:33.000Z`.
fn time(time: Timestamp) -> String {
    format!("{time:.3}")
}
