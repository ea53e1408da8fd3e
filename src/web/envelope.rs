//! The outermost layer: what every request gets and every answer goes through.
//!
//! A request gets its context: trace id, language, deadline. An answer gets
//! `X-Traceid` and a log line; an [`ApiError`] from any layer below becomes the
//! one error body of `api.md` here and nowhere else. A request without an
//! answer by its deadline is answered for: nothing that waits inside can hang a
//! client.

use std::borrow::Cow;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Request, StatusCode};
use serde::Serialize;
use tokio::time::Instant;
use tokio::time::error::Elapsed;
use tower::{Layer, Service};

use super::answer::JSON;
use super::context::{RequestContext, RequestLimits};
use super::error::ApiError;
use super::forwarded::TrustedProxies;
use super::framing;
use super::language::Language;
use super::observer::RequestObserver;
use super::peer::Peer;
use super::request_log::RequestLog;
use super::request_span::RequestTracer;
use super::trace_id::X_TRACEID;

/// The ways to authenticate (RFC 9110, section 11.6.1).
const CHALLENGES: [HeaderValue; 2] = [
    HeaderValue::from_static("Bearer realm=\"koodrive\""),
    HeaderValue::from_static(SIGNATURE_SCHEME),
];
/// The `Authorization` scheme of app authentication (`app-auth.md`).
pub const SIGNATURE_SCHEME: &str = "HMAC-SHA256";

/// Wraps services in [`Envelope`].
///
/// ```
/// # use std::time::Duration;
/// # use axum::{Router, body::Body};
/// # use http::{Request, StatusCode};
/// # use kootask::web::{context::RequestLimits, envelope::EnvelopeLayer, error::ApiError};
/// # use tower::{ServiceBuilder, ServiceExt};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let service = ServiceBuilder::new()
///     .layer(EnvelopeLayer::new(RequestLimits {
///         body: 16 * 1024,
///         timeout: Duration::from_secs(10),
///     }))
///     .service(Router::new().fallback(async || ApiError::RouteNotFound));
///
/// let request = Request::get("/")
///     .header("X-Traceid", "7f1e9c2d")
///     .header("X-Language", "en-US")
///     .body(Body::empty())?;
/// let answer = service.oneshot(request).await?;
/// assert_eq!(answer.status(), StatusCode::NOT_FOUND);
/// assert_eq!(answer.headers()["X-Traceid"], "7f1e9c2d");
/// let body = axum::body::to_bytes(answer.into_body(), 1024).await?;
/// assert!(body.starts_with(b"{\"code\":"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct EnvelopeLayer {
    limits: RequestLimits,
    proxies: TrustedProxies,
    observer: Option<Arc<dyn RequestObserver>>,
    tracer: Option<RequestTracer>,
}

impl EnvelopeLayer {
    /// A layer that holds each request to `limits`.
    #[must_use]
    pub fn new(limits: RequestLimits) -> Self {
        Self {
            limits,
            proxies: TrustedProxies::default(),
            observer: None,
            tracer: None,
        }
    }

    /// The same layer; its log tells whom these proxies have requests from.
    #[must_use]
    pub fn behind(mut self, proxies: TrustedProxies) -> Self {
        self.proxies = proxies;
        self
    }

    /// The same layer, which tells `observer` of each answer.
    #[must_use]
    pub fn observed_by(mut self, observer: Arc<dyn RequestObserver>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// The same layer, which makes a span of each request if there is a `tracer`.
    #[must_use]
    pub fn traced_by(mut self, tracer: Option<RequestTracer>) -> Self {
        self.tracer = tracer;
        self
    }
}

impl<S> Layer<S> for EnvelopeLayer {
    type Service = Envelope<S>;

    fn layer(&self, inner: S) -> Envelope<S> {
        Envelope {
            limits: self.limits,
            proxies: self.proxies.clone(),
            observer: self.observer.clone(),
            tracer: self.tracer.clone(),
            inner,
        }
    }
}

/// Gives each request its context and each answer its form.
#[derive(Clone)]
pub struct Envelope<S> {
    limits: RequestLimits,
    proxies: TrustedProxies,
    observer: Option<Arc<dyn RequestObserver>>,
    tracer: Option<RequestTracer>,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Envelope<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Send + 'static,
    R: http_body::Body<Data = axum::body::Bytes> + Send + 'static,
    R::Error: Into<axum::BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let started = Instant::now();
        let peer = request.extensions_mut().remove::<Arc<Peer>>();
        let forwarded = peer
            .as_ref()
            .and_then(|peer| self.proxies.sender(peer.address, request.headers()));
        let context = Arc::new(RequestContext::new(
            request.headers(),
            peer,
            self.limits,
            started,
        ));
        request.extensions_mut().insert(Arc::clone(&context));
        let tracer = self.tracer.as_ref();
        let log = RequestLog::begin(
            &request,
            Arc::clone(&context),
            forwarded,
            self.observer.clone(),
            tracer.map(|tracer| tracer.begin(&request, &context)),
            started,
        );
        let framed = framing::judge(request.headers());
        // In a box of its own, for one that a future holds and waits for takes twice its room.
        let answer = Box::pin(self.inner.call(request));
        Box::pin(async move {
            let answer = pin!(async {
                if let Err(error) = framed {
                    return Ok(error.into_response());
                }
                // No more is held for a client than it takes.
                if let Some(peer) = context.peer() {
                    peer.answers.has_room().await;
                }
                answer.await.map(|response| response.map(Body::new))
            });
            let response = match in_time(&context, answer).await {
                Ok(Ok(response)) => response,
                Ok(Err(infallible)) => match infallible {},
                Err(elapsed) => ApiError::unavailable(elapsed).into_response(),
            };
            Ok(seal(response, &context, log))
        })
    }
}

/// What comes by the deadline, which a call may have moved meanwhile.
async fn in_time<T>(
    context: &RequestContext,
    mut answer: Pin<&mut impl Future<Output = T>>,
) -> Result<T, Elapsed> {
    loop {
        let deadline = context.deadline();
        match tokio::time::timeout_at(deadline, &mut answer).await {
            Err(_) if context.deadline() > deadline => {}
            answered => return answered,
        }
    }
}

/// Brings an answer into its final form and logs it.
fn seal(mut response: Response, context: &RequestContext, log: RequestLog) -> Response {
    let error = response.extensions_mut().remove::<ApiError>();
    log.finish(response.status(), error.as_ref());
    if let Some(error) = error {
        write_error(&mut response, &error, context.language());
    }
    response
        .headers_mut()
        .insert(X_TRACEID, context.trace_id().header_value().clone());
    response
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: u32,
    msg: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Detail>,
}

#[derive(Serialize)]
struct Detail {
    field: Cow<'static, str>,
    reason: Cow<'static, str>,
}

/// Writes the one error body, and the headers that go with its status.
fn write_error(response: &mut Response, error: &ApiError, language: Language) {
    let body = ErrorBody {
        code: error.code(),
        msg: error.message(language),
        details: error
            .violations()
            .iter()
            .map(|violation| Detail {
                field: violation.name(),
                reason: violation.reason.message(language),
            })
            .collect(),
    };
    let headers = response.headers_mut();
    match error.status() {
        // A layer that takes fewer credentials has said so itself.
        StatusCode::UNAUTHORIZED if !headers.contains_key(WWW_AUTHENTICATE) => {
            for challenge in CHALLENGES {
                headers.append(WWW_AUTHENTICATE, challenge);
            }
        }
        _ => {}
    }
    if let Some(wait) = error.retry_after() {
        let seconds = wait
            .as_secs()
            .saturating_add(u64::from(wait.subsec_nanos() > 0));
        headers.insert(RETRY_AFTER, seconds.max(1).into());
    }
    // The router has measured the empty body.
    headers.remove(CONTENT_LENGTH);
    *response.body_mut() = json_body(headers, &body);
}

fn json_body(headers: &mut http::HeaderMap, value: &impl Serialize) -> Body {
    headers.insert(CONTENT_TYPE, JSON);
    // Serializing our own plain structs into memory does not fail.
    Body::from(serde_json::to_vec(value).unwrap_or_default())
}
