//! The create call's request: its key and its body, read and checked.

use axum::extract::{FromRequest, FromRequestParts, Request};
use http::{HeaderMap, header};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::api::loose::Loose;
use crate::api::values::TaskTypeNumber;
use crate::auth::Caller;
use crate::task::idempotency::{Idempotency, Key};
use crate::task::{Identifier, NewTask, TaskParameters, TaskType};
use crate::web::body;
use crate::web::context::RequestContext;
use crate::web::error::{ApiError, Malformed, Reason, Violation};

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

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (mut parts, request_body) = request.into_parts();
        let context = RequestContext::of(&parts.extensions)?;
        let caller = Caller::from_request_parts(&mut parts, state).await?;
        require_json(&parts.headers)?;
        let bytes = body::read(request_body, &context).await?;
        let fields = parse(&bytes)?;

        let key = idempotency_key(&parts.headers);
        let (parameters, key) = match (fields.parameters(), key) {
            (Ok(parameters), Ok(key)) => (parameters, key),
            (parameters, key) => {
                let mut violations = parameters.err().unwrap_or_default();
                violations.extend(key.err());
                return Err(ApiError::InvalidParameters(violations));
            }
        };
        Ok(Self {
            idempotency: idempotency(&caller, key, &bytes),
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

/// What makes a repetition of this request recognisable: its key, or else its
/// signature.
fn idempotency(caller: &Caller, key: Option<&[u8]>, body: &[u8]) -> Option<Idempotency> {
    let of = |key, body_sha256| Idempotency::new(&caller.tenant_id, key, body_sha256);
    match (key, &caller.signed) {
        (Some(key), Some(signed)) => Some(of(Key::Header(key), &signed.body_sha256)),
        (Some(key), None) => Some(of(Key::Header(key), &Sha256::digest(body).into())),
        (None, Some(signed)) => Some(of(Key::Signature(&signed.signature), &signed.body_sha256)),
        (None, None) => None,
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

/// Refuses a body that is declared as anything but JSON; no declaration is one
/// of JSON.
fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let mut declared = headers.get_all(header::CONTENT_TYPE).iter();
    let is_json = declared.all(|value| {
        let essence = value.to_str().ok().and_then(|text| text.split(';').next());
        essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
    });
    if is_json {
        Ok(())
    } else {
        Err(ApiError::UnsupportedMediaType)
    }
}

/// The body's fields, not yet judged. Unknown ones are ignored.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    #[serde(borrow, default)]
    task_type: Loose<'a>,
    #[serde(borrow, default)]
    src_user_id: Loose<'a>,
    #[serde(borrow, default)]
    dst_user_id: Loose<'a>,
    #[serde(borrow, default)]
    result_id: Loose<'a>,
    #[serde(borrow, default)]
    org_id: Loose<'a>,
    #[serde(borrow, default)]
    org_user_id: Loose<'a>,
}

fn parse(body: &[u8]) -> Result<Fields<'_>, ApiError> {
    let first = body.trim_ascii_start().first();
    if first == Some(&b'{') {
        return serde_json::from_slice(body).map_err(|_| ApiError::Malformed(Malformed::NotJson));
    }
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
    Err(ApiError::Malformed(if is_json {
        Malformed::NotAnObject
    } else {
        Malformed::NotJson
    }))
}

impl Fields<'_> {
    /// The parameters, or every violation. The fields of the other task type
    /// are ignored.
    fn parameters(&self) -> Result<TaskParameters, Vec<Violation>> {
        match self.task_type {
            Loose::Missing => self.transfer(),
            Loose::Integer(number) => match TaskTypeNumber::task_type(number) {
                Some(TaskType::TransferAndDeletion) => self.transfer(),
                Some(TaskType::BatchImport) => self.batch_import(),
                None => Err(vec![Violation::new("taskType", Reason::UnknownTaskType)]),
            },
            _ => Err(vec![Violation::new("taskType", Reason::NotAnInteger)]),
        }
    }

    fn transfer(&self) -> Result<TaskParameters, Vec<Violation>> {
        match (
            self.src_user_id.identifier("srcUserId"),
            self.dst_user_id.identifier("dstUserId"),
        ) {
            (Ok(src), Ok(dst)) if src == dst => {
                Err(vec![Violation::new("dstUserId", Reason::SameAsSource)])
            }
            (Ok(src_user_id), Ok(dst_user_id)) => Ok(TaskParameters::Transfer {
                src_user_id,
                dst_user_id,
            }),
            (src, dst) => Err(violations([src, dst])),
        }
    }

    fn batch_import(&self) -> Result<TaskParameters, Vec<Violation>> {
        match (
            self.result_id.identifier("resultId"),
            self.org_id.identifier("orgId"),
            self.org_user_id.identifier("orgUserId"),
        ) {
            (Ok(result_id), Ok(org_id), Ok(org_user_id)) => Ok(TaskParameters::BatchImport {
                result_id,
                org_id,
                org_user_id,
            }),
            (result, org, org_user) => Err(violations([result, org, org_user])),
        }
    }
}

fn violations<const N: usize>(fields: [Result<Identifier, Violation>; N]) -> Vec<Violation> {
    fields.into_iter().filter_map(Result::err).collect()
}
