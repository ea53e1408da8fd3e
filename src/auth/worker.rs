//! Who calls as a worker: a bearer token of a list apart.
//!
//! Contract: `worker.md`, "Who".

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::WWW_AUTHENTICATE;
use http::request::Parts;
use jiff::Timestamp;

use super::headers::host;
use super::{Authenticator, NotAuthenticated};
use crate::task::Identifier;
use crate::task::scope::Scope;
use crate::web::context::RequestContext;
use crate::web::error::{ApiError, Violations};

/// The one way to authenticate (RFC 9110, section 11.6.1).
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"kootask workers\"");

/// The name of the worker that [`AuthMode::AcceptAny`](super::AuthMode::AcceptAny)
/// lets in without a credential that is known.
pub const STAND_IN_WORKER: &str = "dev";

/// What a worker's token is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// The name of the credential. Several tokens may have one name.
    pub name: Identifier,
    /// The tasks that it may see and move.
    pub scope: Scope,
    /// When the token ends to be good; never if `None`.
    pub expires_at: Option<Timestamp>,
}

/// The authenticated worker of a request.
#[derive(Debug, Clone)]
pub struct WorkerCaller {
    /// The name of its credential.
    pub name: Identifier,
    /// The tasks that it may see and move.
    pub scope: Scope,
}

/// Admits requests with a worker's credential, each with its [`WorkerCaller`].
/// Checks in this order: form (400), then the credential (401).
pub fn admit_worker(
    State(authenticator): State<Arc<Authenticator>>,
    request: Request,
    next: Next,
) -> impl Future<Output = Response> + Send {
    // Here, or the future has room for the request and for its parts.
    let (mut parts, body) = request.into_parts();
    let admitted = authenticate(&authenticator, &mut parts);
    async move {
        match admitted {
            Ok(()) => next.run(Request::from_parts(parts, body)).await,
            Err(error) => {
                let is_challenge = matches!(error, ApiError::Unauthenticated(_));
                let mut response = error.into_response();
                if is_challenge {
                    response.headers_mut().insert(WWW_AUTHENTICATE, CHALLENGE);
                }
                response
            }
        }
    }
}

/// Gives the request its [`WorkerCaller`], or says why it is refused.
fn authenticate(authenticator: &Authenticator, parts: &mut Parts) -> Result<(), ApiError> {
    let context = RequestContext::of(&parts.extensions)?;
    host(parts).map_err(ApiError::Malformed)?;
    if let Some(violation) = context.trace_id_violation() {
        return Err(ApiError::InvalidParameters(Violations::from(violation)));
    }
    let caller = authenticator.check_worker(parts, &context)?;
    context.note_credential(Some(&caller.name));
    parts.extensions.insert(caller);
    Ok(())
}

impl<S: Sync> FromRequestParts<S> for WorkerCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts
            .extensions
            .remove::<Self>()
            .ok_or_else(|| ApiError::internal(NotAuthenticated))
    }
}
