//! The create call's request: its key and its body, read and checked.

use axum::extract::{FromRequest, FromRequestParts, Request};
use http::HeaderMap;

use crate::auth::Caller;
use crate::task::idempotency::Idempotency;
use crate::task::{Identifier, NewTask, TaskParameters, TaskType};
use crate::web::context::RequestContext;
use crate::web::error::{ApiError, Reason, Violation, Violations};
use crate::web::json::{self, Object};
use crate::wire::TaskTypeNumber;

/// The most characters of an `Idempotency-Key`.
pub(super) const MAX_KEY_LENGTH: usize = 255;

/// A valid create request of an authenticated caller.
#[derive(Debug)]
pub(super) struct CreateRequest {
    /// What to create.
    pub(super) task: NewTask,
    /// By what a repetition is recognised, if it can be.
    pub(super) idempotency: Option<Idempotency>,
}

impl<S: Send + Sync> FromRequest<S> for CreateRequest {
    type Rejection = ApiError;

    fn from_request(
        request: Request,
        state: &S,
    ) -> impl Future<Output = Result<Self, ApiError>> + Send {
        // Here, or the future has room for the request and for its parts.
        let (mut parts, body) = request.into_parts();
        async move {
            let context = RequestContext::of(&parts.extensions)?;
            let caller = Caller::from_request_parts(&mut parts, state).await?;
            let bytes = json::read(&parts.headers, body, &context).await?;
            let fields = Object::parse(&bytes)?;

            let key = idempotency_key(&parts.headers);
            let (parameters, key) = match (parameters(&fields), key) {
                (Ok(parameters), Ok(key)) => (parameters, key),
                (parameters, key) => {
                    let mut violations = parameters.err().unwrap_or_default();
                    violations.extend(key.err());
                    return Err(ApiError::InvalidParameters(violations));
                }
            };
            Ok(Self {
                idempotency: caller.idempotency(key, &bytes),
                task: NewTask {
                    tenant_id: caller.tenant_id,
                    user_id: caller.user_id,
                    created_by: caller.credential,
                    locale: context.language().tag(),
                    parameters,
                },
            })
        }
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<&[u8]>, Violation> {
    const FIELD: &str = "Idempotency-Key";
    let mut values = headers.get_all(FIELD).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let bytes = value.as_bytes();
    if values.next().is_some() {
        Err(Violation::new(FIELD, Reason::Repeated))
    } else if (1..=MAX_KEY_LENGTH).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
    {
        Ok(Some(bytes))
    } else {
        Err(Violation::new(FIELD, Reason::NotAnIdempotencyKey))
    }
}

/// The parameters, or every violation. The fields of the other task type are
/// ignored.
fn parameters(body: &Object<'_>) -> Result<TaskParameters, Violations> {
    let task_type = match body.integer("taskType")? {
        None => TaskType::TransferAndDeletion,
        Some(number) => TaskTypeNumber::task_type(number)
            .ok_or(Violation::new("taskType", Reason::UnknownTaskType))?,
    };
    match task_type {
        TaskType::TransferAndDeletion => transfer(body),
        TaskType::BatchImport => batch_import(body),
    }
}

fn transfer(body: &Object<'_>) -> Result<TaskParameters, Violations> {
    match (identifier(body, "srcUserId"), identifier(body, "dstUserId")) {
        (Ok(src), Ok(dst)) if src == dst => {
            Err(Violation::new("dstUserId", Reason::SameAsSource).into())
        }
        (Ok(src_user_id), Ok(dst_user_id)) => Ok(TaskParameters::Transfer {
            src_user_id,
            dst_user_id,
        }),
        (src, dst) => Err(violations([src, dst])),
    }
}

fn batch_import(body: &Object<'_>) -> Result<TaskParameters, Violations> {
    match (
        identifier(body, "resultId"),
        identifier(body, "orgId"),
        identifier(body, "orgUserId"),
    ) {
        (Ok(result_id), Ok(org_id), Ok(org_user_id)) => Ok(TaskParameters::BatchImport {
            result_id,
            org_id,
            org_user_id,
        }),
        (result, org, org_user) => Err(violations([result, org, org_user])),
    }
}

fn identifier(body: &Object<'_>, field: &'static str) -> Result<Identifier, Violation> {
    body.identifier(field, Reason::NotAnIdentifier)
}

fn violations<const N: usize>(fields: [Result<Identifier, Violation>; N]) -> Violations {
    fields.into_iter().filter_map(Result::err).collect()
}
