//! `GET /koodrive/ose/v1/task/dstUserInfo/{src_user_id}`: who receives a leaving
//! user's files.

use std::str::FromStr;

use axum::extract::State;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::task::identifier::NotAnIdentifier;
use crate::task::{Identifier, TaskService};
use crate::web::answer::Answer;
use crate::web::call::{Access, Call, in_path};
use crate::web::context::Context;
use crate::web::error::{ApiError, Reason};
use crate::web::path::{InPath, PathParameter};
use crate::wire::examples;

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
        .parameter(in_path::<Identifier>(
            SrcUserId::NAME,
            examples::SRC_USER_ID,
        ))
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
}

/// The leaving user, as the path names it.
struct SrcUserId(Identifier);

impl FromStr for SrcUserId {
    type Err = NotAnIdentifier;

    fn from_str(text: &str) -> Result<Self, NotAnIdentifier> {
        text.parse().map(Self)
    }
}

impl PathParameter for SrcUserId {
    const NAME: &'static str = "src_user_id";
    const REASON: Reason = Reason::NotAnIdentifier;
}

async fn recipient(
    State(tasks): State<TaskService>,
    Context(context): Context,
    caller: Caller,
    InPath(SrcUserId(src_user_id)): InPath<SrcUserId>,
) -> Result<Answer<RecipientAnswer>, ApiError> {
    let found = tasks.recipient(&caller.tenant_id, &src_user_id).await?;
    let recipient = found.ok_or(ApiError::TaskNotFound)?;
    Ok(Answer::new(
        &context,
        RecipientAnswer {
            name: tasks.user_name(&recipient),
            id: recipient.to_string(),
        },
    ))
}
