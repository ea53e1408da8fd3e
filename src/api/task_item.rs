//! A task as the wire shows it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::task::{Identifier, Task, TaskId, TaskService};
use crate::web::error::ApiError;
use crate::wire::{Parameters, StatusNumber, TaskTypeNumber, Time};

/// A task in a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskItem {
    #[schema(value_type = TaskId)]
    pub(super) task_id: String,
    /// The source user's name, or its id; of an import `batch-import-` and the
    /// resultId.
    pub(super) task_name: String,
    pub(super) task_type: TaskTypeNumber,
    #[schema(value_type = Identifier)]
    pub(super) tenant_id: String,
    #[schema(value_type = Identifier)]
    pub(super) user_id: String,
    pub(super) status: StatusNumber,
    /// What the task was created with, as a JSON text.
    #[schema(content_media_type = "application/json")]
    init_params: String,
    /// The language that the task was created in, a BCP 47 tag.
    locale: String,
    /// Why the task failed; absent unless it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) result_code: Option<String>,
    create_time: Time,
    /// When its execution began; absent before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Time)]
    start_time: Option<Time>,
    /// When it ended; absent before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Time)]
    end_time: Option<Time>,
}

impl TaskItem {
    /// `tasks` knows the names of users.
    ///
    /// # Errors
    ///
    /// [`ApiError::Internal`] if the parameters cannot be written.
    pub(super) fn of(tasks: &TaskService, task: Task) -> Result<Self, ApiError> {
        let init_params = Parameters::of(&task.parameters);
        Ok(Self {
            task_id: task.id.to_string(),
            task_name: tasks.task_name(&task),
            task_type: task.parameters.task_type().into(),
            tenant_id: task.tenant_id.as_str().to_owned(),
            user_id: task.user_id.to_string(),
            status: task.status.into(),
            init_params: serde_json::to_string(&init_params).map_err(ApiError::internal)?,
            locale: task.locale,
            result_code: task.result_code.map(|code| code.to_string()),
            create_time: task.id.created_at().into(),
            start_time: task.started_at.map(Time::from),
            end_time: task.ended_at.map(Time::from),
        })
    }
}
