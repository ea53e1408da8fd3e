//! `POST /koodrive/ose/v1/task/create`: starts a task.

mod body;
mod request;

use axum::extract::State;
use http::{HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::path::ParameterBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use self::body::CreateBody;
use self::request::{CreateRequest, MAX_KEY_LENGTH};
use super::{detail, recipient};
use crate::task::repository::StoreError;
use crate::task::service::CreateError;
use crate::task::{TaskId, TaskService};
use crate::web::answer::Answer;
use crate::web::call::{Access, Call, header, schema};
use crate::web::context::Context;
use crate::web::error::ApiError;
use crate::wire::examples;

/// The path of the create call.
pub const PATH: &str = "/koodrive/ose/v1/task/create";

/// Says that an answer is given again.
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The call, named as KooDrive's reference names it.
pub(super) fn call() -> Call<TaskService> {
    let example = json!({"taskId": examples::TASK_ID, "code": 0, "msg": examples::SUCCESS});
    Call::post(Access::Console, PATH, create)
        .named(
            "createTask",
            "Create a task",
            "The task is durable before the answer is sent.",
        )
        .parameter(idempotency_key())
        .body::<CreateBody>(body::examples())
        .answer::<CreateAnswer>("The task exists.", example)
        .link("task", detail::ID, "task_id", "$response.body#/taskId")
        .link(
            "recipient",
            recipient::ID,
            "src_user_id",
            "$request.body#/srcUserId",
        )
        .answer_header(
            "Idempotency-Replayed",
            ObjectBuilder::new()
                .schema_type(Type::String)
                .enum_values(Some(["true"])),
            "There if this answer was given before, to the same request.",
        )
        .error(ApiError::IdempotencyMismatch)
}

fn idempotency_key() -> ParameterBuilder {
    let form = schema::matching(schema::VISIBLE, MAX_KEY_LENGTH);
    header("Idempotency-Key", form).description(Some(
        "Makes a retry safe: within 24 hours the same key, tenant and body give the first \
         answer again; the same key with another body gets 422. A signed request also has its \
         signature for a key: one signature never makes two tasks.",
    ))
}

/// The answer to a create call.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CreateAnswer {
    #[schema(value_type = TaskId)]
    task_id: String,
}

async fn create(
    State(tasks): State<TaskService>,
    Context(context): Context,
    request: CreateRequest,
) -> Result<Answer<CreateAnswer>, ApiError> {
    let created = tasks.create(request.task, request.idempotency).await?;
    context.note_task(created.id);
    let answer = CreateAnswer {
        task_id: created.id.to_string(),
    };
    let answer = Answer::new(&context, answer);
    Ok(if created.is_replayed {
        answer.with_header(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"))
    } else {
        answer
    })
}

impl From<CreateError> for ApiError {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::IdempotencyMismatch => Self::IdempotencyMismatch,
            CreateError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::unavailable(error)
    }
}
