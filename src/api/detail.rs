//! `GET /koodrive/ose/v1/task/{task_id}`: one task.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::task::{Identifier, TaskId, TaskService, TaskStatus, TaskType};
use crate::web::context::Context;
use crate::web::envelope;
use crate::web::error::{ApiError, Reason};
use crate::web::path::{self, PathParameter};

/// A task, flat.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DetailAnswer {
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
pub async fn detail(
    State(tasks): State<TaskService>,
    Context(context): Context,
    caller: Caller,
    task_id: PathParameter,
) -> Result<Response, ApiError> {
    let task_id: TaskId = path::read(task_id, "task_id", Reason::NotATaskId)?;
    let task = tasks
        .find(&caller.tenant_id, task_id)
        .await?
        .ok_or(ApiError::TaskNotFound)?;
    Ok(envelope::json(&DetailAnswer {
        task_id: task.id.to_string(),
        task_name: tasks.task_name(&task),
        task_type: task.parameters.task_type() as u8,
        tenant_id: task.tenant_id.as_str().to_owned(),
        user_id: task.user_id.to_string(),
        status: task.status as u8,
        result_code: task.result_code,
        code: 0,
        msg: context.success(),
    }))
}
