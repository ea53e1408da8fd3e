//! `GET /koodrive/ose/v1/task/list`: the tenant's tasks, page by page.

mod query;

use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use self::query::ListQuery;
use super::task_item::TaskItem;
use crate::auth::Caller;
use crate::task::{TaskId, TaskService};
use crate::web::answer::Answer;
use crate::web::call::{Access, Call};
use crate::web::context::Context;
use crate::web::error::ApiError;
use crate::wire::examples;

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
    query::parameters().into_iter().fold(call, Call::parameter)
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
}

async fn list(
    State(tasks): State<TaskService>,
    Context(context): Context,
    caller: Caller,
    query: ListQuery,
) -> Result<Answer<ListAnswer>, ApiError> {
    let size = usize::from(query.size());
    let mut found = tasks.list(&caller.tenant_id, query.into_page()).await?;
    let has_more = found.len() > size;
    found.truncate(size);
    let next_cursor = found
        .last()
        .filter(|_| has_more)
        .map(|task| task.id.to_string());
    let items = found.into_iter().map(|task| TaskItem::of(&tasks, task));
    Ok(Answer::new(
        &context,
        ListAnswer {
            task_list: items.collect::<Result<_, _>>()?,
            next_cursor,
        },
    ))
}
