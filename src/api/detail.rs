//! `GET /koodrive/ose/v1/task/{task_id}`: one task.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::examples;
use super::wire;
use crate::auth::Caller;
use crate::task::{Identifier, TaskId, TaskService, TaskStatus, TaskType};
use crate::web::call::{Access, Call, in_path};
use crate::web::context::Context;
use crate::web::envelope;
use crate::web::error::{ApiError, Reason};
use crate::web::path::{self, PathParameter};

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
        .parameter(in_path::<TaskId>("task_id", examples::TASK_ID))
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
    #[schema(value_type = TaskType)]
    task_type: u8,
    #[schema(value_type = Identifier)]
    tenant_id: String,
    #[schema(value_type = Identifier)]
    user_id: String,
    #[schema(value_type = TaskStatus)]
    status: u8,
    /// Why the task failed; absent unless it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    result_code: Option<String>,
    #[schema(maximum = 0)]
    code: u32,
    msg: &'static str,
}

/// Answers with the task.
///
/// # Errors
///
/// Every [`ApiError`] that `api.md` lists for the call.
async fn detail(
    State(tasks): State<TaskService>,
    Context(context): Context,
    caller: Caller,
    task_id: PathParameter,
) -> Result<Response, ApiError> {
    let task_id: TaskId = path::read(task_id, "task_id", Reason::NotATaskId)?;
    context.note_task(task_id);
    let task = tasks
        .find(&caller.tenant_id, task_id)
        .await?
        .ok_or(ApiError::TaskNotFound)?;
    Ok(envelope::json(&DetailAnswer {
        task_id: task.id.to_string(),
        task_name: tasks.task_name(&task),
        task_type: wire::task_type_number(task.parameters.task_type()),
        tenant_id: task.tenant_id.as_str().to_owned(),
        user_id: task.user_id.to_string(),
        status: wire::status_number(task.status),
        result_code: task.result_code.map(|code| code.to_string()),
        code: 0,
        msg: context.success(),
    }))
}
