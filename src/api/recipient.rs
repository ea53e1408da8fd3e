//! `GET /koodrive/ose/v1/task/dstUserInfo/{src_user_id}`: who receives a leaving
//! user's files.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::task::{Identifier, TaskService};
use crate::web::context::Context;
use crate::web::envelope;
use crate::web::error::{ApiError, Reason};
use crate::web::path::{self, PathParameter};

/// The recipient.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecipientAnswer {
    #[schema(value_type = Identifier)]
    id: String,
    /// Absent where the directory does not know the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<String>,
    #[schema(maximum = 0)]
    code: u32,
    msg: &'static str,
}

/// Answers with the recipient of the source user's newest transfer.
///
/// # Errors
///
/// Every [`ApiError`] that `api.md` lists for the call.
pub async fn recipient(
    State(tasks): State<TaskService>,
    Context(context): Context,
    caller: Caller,
    src_user_id: PathParameter,
) -> Result<Response, ApiError> {
    let src_user_id: Identifier = path::read(src_user_id, "src_user_id", Reason::NotAnIdentifier)?;
    let found = tasks.recipient(&caller.tenant_id, &src_user_id).await?;
    let recipient = found.ok_or(ApiError::TaskNotFound)?;
    Ok(envelope::json(&RecipientAnswer {
        name: tasks.user_name(&recipient),
        id: recipient.to_string(),
        code: 0,
        msg: context.success(),
    }))
}
