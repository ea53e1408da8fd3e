//! `GET /koodrive/ose/v1/task/dstUserInfo/{src_user_id}`: who receives a leaving
//! user's files.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::examples;
use crate::auth::Caller;
use crate::task::{Identifier, TaskService};
use crate::web::call::{Access, Call, in_path};
use crate::web::context::Context;
use crate::web::envelope;
use crate::web::error::{ApiError, Reason};
use crate::web::path::{self, PathParameter};

/// The path of the recipient call.
pub const PATH: &str = "/koodrive/ose/v1/task/dstUserInfo/{src_user_id}";

/// The name of the call's page in KooDrive's reference.
pub(super) const ID: &str = "getHandoverDstUserInfo";

pub(super) fn call() -> Call<TaskService> {
    let example = json!({
        "id": examples::DST_USER_ID,
        "name": "Li Wei",
        "code": 0,
        "msg": examples::SUCCESS,
    });
    Call::get(Access::Console, PATH, recipient)
        .named(
            ID,
            "Read who receives a user's files",
            "The recipient of the newest transfer of this source user.",
        )
        .parameter(in_path::<Identifier>("src_user_id", examples::SRC_USER_ID))
        .answer::<RecipientAnswer>("The recipient.", example)
        .error(ApiError::TaskNotFound)
}

/// The recipient.
#[derive(Debug, Serialize, ToSchema)]
struct RecipientAnswer {
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
async fn recipient(
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
