//! The tower layer that admits authenticated requests only.
//!
//! It checks the app-auth headers and the credential in the order of `api.md`:
//! form first (400), then the credential (401, 403). A request that passes
//! carries its [`Caller`] as an extension. A signed body is read here, once,
//! within the request's size and time limits, and handed on. Who is admitted is held
//! to the [limits](super::limits).

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use http::Request;
use http::request::Parts;
use sha2::{Digest, Sha256};
use tower::{Layer, Service};

use super::authenticator::Presented;
use super::headers::AppAuthHeaders;
use super::limits::{Admission, Limiter};
use super::{Authenticator, Caller, Signed};
use crate::web::body;
use crate::web::context::RequestContext;
use crate::web::error::ApiError;

/// Wraps services in [`Auth`]. Stands within the
/// [`EnvelopeLayer`](crate::web::envelope::EnvelopeLayer), which gives a refusal
/// its form.
///
/// ```
/// # use std::{collections::HashMap, sync::Arc, time::Duration};
/// # use axum::{Router, body::Body, routing::get};
/// # use http::{Request, StatusCode};
/// # use jiff::{SignedDuration, Timestamp};
/// # use kootask::auth::{AuthMode, Authenticator, Caller, Credentials, Token, TokenDigest};
/// # use kootask::auth::{layer::AuthLayer, limits::{Limiter, Limits}};
/// # use kootask::task::{Identifier, clock::SystemClock};
/// # use kootask::web::{context::RequestLimits, envelope::EnvelopeLayer};
/// # use tower::{ServiceBuilder, ServiceExt};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let acme = Token {
///     tenant_id: "acme".parse::<Identifier>()?.into(),
///     user_id: None,
///     expires_at: None,
/// };
/// let tokens = HashMap::from([(TokenDigest::of("a-token"), acme)]);
/// let authenticator = Authenticator::new(
///     AuthMode::Verify,
///     SignedDuration::from_mins(1),
///     Credentials::new(HashMap::new(), tokens),
///     Arc::new(SystemClock),
/// );
/// let whoami = async |caller: Caller| caller.tenant_id.as_str().to_owned();
/// let service = ServiceBuilder::new()
///     .layer(EnvelopeLayer::new(RequestLimits {
///         body: 16 * 1024,
///         timeout: Duration::from_secs(10),
///     }))
///     .layer(AuthLayer::new(
///         Arc::new(authenticator),
///         Arc::new(Limiter::new(Limits::default(), 8)),
///     ))
///     .service(Router::new().route("/", get(whoami)));
///
/// let request = |token: &str| {
///     Request::get("/")
///         .header("Host", "localhost")
///         .header("Authorization", format!("Bearer {token}"))
///         .header("X-Date", Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string())
///         .header("X-User-Id", "1505084218764547200")
///         .body(Body::empty())
/// };
/// let admitted = service.clone().oneshot(request("a-token")?).await?;
/// assert_eq!(admitted.status(), StatusCode::OK);
/// let refused = service.oneshot(request("another")?).await?;
/// assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AuthLayer {
    gate: Arc<Gate>,
}

/// What each request shares: one count to it is cheaper than one to each.
struct Gate {
    authenticator: Arc<Authenticator>,
    limiter: Arc<Limiter>,
}

impl AuthLayer {
    /// A layer that asks `authenticator`, then `limiter`.
    #[must_use]
    pub fn new(authenticator: Arc<Authenticator>, limiter: Arc<Limiter>) -> Self {
        Self {
            gate: Arc::new(Gate {
                authenticator,
                limiter,
            }),
        }
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, inner: S) -> Auth<S> {
        Auth {
            gate: Arc::clone(&self.gate),
            inner,
        }
    }
}

/// Admits authenticated requests to the service inside.
#[derive(Clone)]
pub struct Auth<S> {
    gate: Arc<Gate>,
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
        let gate = Arc::clone(&self.gate);
        // The instance that was polled ready is the one that must be called.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        // Here and lent on, for each future that it is moved into has room for it.
        let (mut parts, mut body) = request.into_parts();
        Box::pin(async move {
            match gate.admit(&mut parts, &mut body).await {
                Ok(_admission) => inner.call(Request::from_parts(parts, body)).await,
                Err(error) => Ok(error.into_response()),
            }
        })
    }
}

impl Gate {
    /// Gives the request its [`Caller`], and the body back that a signature was checked
    /// by; or why it is refused.
    async fn admit(&self, parts: &mut Parts, body: &mut Body) -> Result<Admission, ApiError> {
        let caller = self.authenticate(parts, body).await?;
        let credential = caller.credential.clone();
        parts.extensions.insert(caller);
        self.limiter.admit(&parts.method, credential.as_ref()).await
    }

    async fn authenticate(&self, parts: &Parts, body: &mut Body) -> Result<Caller, ApiError> {
        let context = RequestContext::of(&parts.extensions)?;
        let claimed = AppAuthHeaders::read(parts, context.trace_id_violation())?;
        context.note_user(claimed.user_id.as_str());
        let authenticator = &self.authenticator;
        let (admitted, signed) = match authenticator.check(parts, &claimed, &context).await? {
            Presented::Unsigned(admitted) => (admitted, None),
            Presented::Signed(presented) => {
                let bytes = body::read(std::mem::take(body), &context).await?;
                let signed = Signed {
                    signature: presented.signature,
                    body_sha256: Sha256::digest(&bytes).into(),
                };
                *body = Body::from(bytes);
                let admitted =
                    authenticator.check_signature(parts, &presented, &signed.body_sha256)?;
                (admitted, Some(signed))
            }
        };
        context.note_tenant(admitted.tenant_id.as_str());
        context.note_credential(admitted.credential.as_ref());
        Ok(Caller {
            tenant_id: admitted.tenant_id,
            user_id: claimed.user_id,
            credential: admitted.credential,
            signed,
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::auth::limits::Limits;
    use crate::auth::{AuthMode, Credentials};
    use crate::task::clock::SystemClock;

    #[test]
    fn what_a_request_waits_for_here_takes_little_room() {
        let authenticator = Authenticator::new(
            AuthMode::Verify,
            SignedDuration::from_mins(1),
            Credentials::default(),
            Arc::new(SystemClock),
        );
        let gate = Gate {
            authenticator: Arc::new(authenticator),
            limiter: Arc::new(Limiter::new(Limits::default(), 1)),
        };
        let (mut parts, mut body) = Request::new(Body::empty()).into_parts();
        let admitted = size_of_val(&gate.admit(&mut parts, &mut body));
        // Of more than a kilobyte, parts and body with it, every allocation is a slow one.
        assert!(admitted <= 700, "{admitted} bytes");
    }
}
