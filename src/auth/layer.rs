//! The tower layer that admits authenticated requests only.
//!
//! It checks the app-auth headers and the credential in the order of `api.md`:
//! form first (400), then the credential (401, 403). A request that passes
//! carries its [`Caller`] as an extension. A signed body is read here, once,
//! within the request's size and time limits, and handed on.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use http::Request;
use sha2::{Digest, Sha256};
use tower::{Layer, Service};

use super::authenticator::Presented;
use super::headers::AppAuthHeaders;
use super::{Authenticator, Caller, Signed};
use crate::web::body;
use crate::web::context::RequestContext;
use crate::web::error::ApiError;

/// Wraps services in [`Auth`].
#[derive(Clone)]
pub struct AuthLayer {
    authenticator: Arc<Authenticator>,
}

impl AuthLayer {
    /// A layer that asks `authenticator`.
    #[must_use]
    pub const fn new(authenticator: Arc<Authenticator>) -> Self {
        Self { authenticator }
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, inner: S) -> Auth<S> {
        Auth {
            authenticator: Arc::clone(&self.authenticator),
            inner,
        }
    }
}

/// Admits authenticated requests to the service inside.
#[derive(Clone)]
pub struct Auth<S> {
    authenticator: Arc<Authenticator>,
    inner: S,
}

impl<S> Service<Request<Body>> for Auth<S>
where
    S: Service<Request<Body>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let authenticator = Arc::clone(&self.authenticator);
        // The instance that was polled ready is the one that must be called.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            match authenticate(&authenticator, request).await {
                Ok(request) => inner.call(request).await,
                Err(error) => Ok(error.into_response()),
            }
        })
    }
}

/// The request with its [`Caller`], or why it is refused.
async fn authenticate(
    authenticator: &Authenticator,
    request: Request<Body>,
) -> Result<Request<Body>, ApiError> {
    let (mut parts, mut request_body) = request.into_parts();
    let context = RequestContext::of(&parts.extensions)?;
    let claimed = AppAuthHeaders::read(&parts, context.trace_id_violation())?;
    context.note_user(claimed.user_id.as_str());
    let (tenant_id, signed) = match authenticator.judge(&parts, &claimed)? {
        Presented::Believed(tenant_id) => (tenant_id, None),
        Presented::Signed(presented) => {
            let bytes = body::read(request_body, &context).await?;
            let signed = Signed {
                signature: presented.signature,
                body_sha256: Sha256::digest(&bytes).into(),
            };
            request_body = Body::from(bytes);
            let tenant_id =
                authenticator.judge_signature(&parts, &presented, &signed.body_sha256)?;
            (tenant_id, Some(signed))
        }
    };
    context.note_tenant(tenant_id.as_str());
    parts.extensions.insert(Caller {
        tenant_id,
        user_id: claimed.user_id,
        signed,
    });
    Ok(Request::from_parts(parts, request_body))
}
