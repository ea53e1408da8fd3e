//! `GET /koodrive/ose/v1/task/{task_id}`: one task.

use axum::extract::State;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::task_item::TaskItem;
use crate::auth::Caller;
use crate::task::{Identifier, TaskId, TaskService};
use crate::web::answer::Answer;
use crate::web::call::{Access, Call, in_path};
use crate::web::context::Context;
use crate::web::error::ApiError;
use crate::web::path::{InPath, PathParameter};
use crate::wire::examples;
use crate::wire::{StatusNumber, TaskTypeNumber};

/// The path of the detail call. The words of the other paths are no task ids.
pub const PATH: &str = "/koodrive/ose/v1/task/{task_id}";

/// The name of the call's page in KooDrive's reference.
pub(super) const ID: &str = "getTaskDetail";

pub(super) fn call() -> Call<TaskService> {
    // A task that failed.
    let example = json!({
        "taskId": examples::TASK_ID,
        "taskName": examples::SRC_USER_ID,
        "taskType": 0,
        "tenantId": examples::TENANT_ID,
        "userId": examples::USER_ID,
        "status": 3,
        "resultCode": "18000205",
        "code": 0,
        "msg": examples::SUCCESS,
    });
    Call::get(Access::Console, PATH, detail)
        .named(ID, "Read a task", "One task of the tenant.")
        .parameter(in_path::<TaskId>(TaskId::NAME, examples::TASK_ID))
        .answer::<DetailAnswer>("The task.", example)
        .error(ApiError::TaskNotFound)
}

/// A task, flat.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DetailAnswer {
    #[schema(value_type = TaskId)]
    task_id: String,
    /// The source user's name, or its id; of an import `batch-import-` and the
    /// resultId.
    task_name: String,
    task_type: TaskTypeNumber,
    #[schema(value_type = Identifier)]
    tenant_id: String,
    #[schema(value_type = Identifier)]
    user_id: String,
    status: StatusNumber,
    /// Why the task failed; absent unless it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    result_code: Option<String>,
}

/// A task read alone tells less than one in a list.
impl From<TaskItem> for DetailAnswer {
    fn from(item: TaskItem) -> Self {
        Self {
            task_id: item.task_id,
            task_name: item.task_name,
            task_type: item.task_type,
            tenant_id: item.tenant_id,
            user_id: item.user_id,
            status: item.status,
            result_code: item.result_code,
        }
    }
}

async fn detail(
    State(tasks): State<TaskService>,
    Context(context): Context,
    caller: Caller,
    InPath(task_id): InPath<TaskId>,
) -> Result<Answer<DetailAnswer>, ApiError> {
    context.note_task(task_id);
    let found = tasks.find(&caller.tenant_id, task_id).await?;
    let task = found.ok_or(ApiError::TaskNotFound)?;
    let item = TaskItem::of(&tasks, task)?;
    Ok(Answer::new(&context, item.into()))
}
