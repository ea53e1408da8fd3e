//! Faults: what rules do to requests, and to the connections that they came by.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Request};
use http_body::Frame;
use tokio_util::sync::CancellationToken;

use super::StandIn;
use super::exchange::{AT_HAND, Exchange};
use super::repository::first_kept;
use super::rules::{Drop, Fault};
use super::tenant::Tenant;
use crate::auth::Caller;
use crate::web::body;
use crate::web::context::RequestContext;
use crate::web::error::{ApiError, RETRY_AFTER};
use crate::web::peer::Reset;

/// The longest that a request hangs, if nothing ends it.
const LONGEST: Duration = Duration::from_secs(3600);

/// A rule answers in place of the service.
#[derive(Debug, thiserror::Error)]
#[error("a rule of the stand-in said so")]
struct ByRule;

/// What is to become of an answer on its way out; put into its extensions.
#[derive(Clone)]
struct Conduct {
    fault: Fault,
    /// The tenant's next reset.
    end: CancellationToken,
}

/// Does to a request of a caller what a rule says. Stands within the layer that
/// authenticates.
pub async fn decide(
    State(stand_in): State<StandIn>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let exchange = parts.extensions.get::<Arc<Exchange>>().map(Arc::clone);
    let caller = parts.extensions.get::<Caller>().cloned();
    let (Some(exchange), Some(caller)) = (exchange, caller) else {
        return next.run(Request::from_parts(parts, body)).await;
    };
    let tenant = match stand_in.tenant(&caller.tenant_id).await {
        Ok(tenant) => tenant,
        Err(error) => return ApiError::unavailable(error).into_response(),
    };
    if !tenant.rules().has_faults() {
        let request = Request::from_parts(parts, body);
        return AT_HAND.scope(exchange, next.run(request)).await;
    }
    let read = match RequestContext::of(&parts.extensions) {
        Ok(context) => body::read(body, &context).await,
        Err(error) => Err(error),
    };
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(error) => return error.into_response(),
    };
    let is_repeated = exchange.call() == Some("create")
        && stand_in.is_repeated(&tenant, &caller, &parts.headers, &bytes);
    let fault = if is_repeated {
        None
    } else {
        tenant.rules().fault(&*exchange)
    };
    let request = Request::from_parts(parts, Body::from(bytes));
    let Some(fault) = fault else {
        return AT_HAND.scope(exchange, next.run(request)).await;
    };
    let fault = exchange.fault.get_or_init(|| fault).clone();
    let mut response = match fault.status.and_then(error) {
        Some(error) => error.into_response(),
        None if fault.hang || fault.drop == Some(Drop::Before) => Response::new(Body::empty()),
        None => AT_HAND.scope(exchange, next.run(request)).await,
    };
    response.extensions_mut().insert(Conduct {
        fault,
        end: tenant.epoch().end,
    });
    response
}

impl StandIn {
    fn is_repeated(
        &self,
        tenant: &Tenant,
        caller: &Caller,
        headers: &HeaderMap,
        body: &[u8],
    ) -> bool {
        let key = headers.get("Idempotency-Key").map(HeaderValue::as_bytes);
        let Some(idempotency) = caller.idempotency(key, body) else {
            return false;
        };
        let first_kept = first_kept(self.0.now(tenant));
        self.0.store.controls().is_some_and(|controls| {
            let repeated = controls.is_repeated(tenant.id(), &idempotency, first_kept);
            repeated.unwrap_or(false)
        })
    }
}

/// The error with this status.
fn error(status: u16) -> Option<ApiError> {
    Some(match status {
        401 => ApiError::Unauthenticated("a rule of the stand-in said so".into()),
        403 => ApiError::Forbidden,
        404 => ApiError::TaskNotFound,
        413 => ApiError::BodyTooLarge,
        429 => ApiError::TooManyRequests(RETRY_AFTER),
        500 => ApiError::internal(ByRule),
        503 => ApiError::unavailable(ByRule),
        _ => return None,
    })
}

/// Lets an answer out as a rule said.
///
/// # Errors
///
/// Never.
pub async fn conduct(mut response: Response) -> Result<Response, Infallible> {
    let Some(Conduct { fault, end }) = response.extensions_mut().remove::<Conduct>() else {
        return Ok(response);
    };
    let delay = Duration::try_from(fault.delay).unwrap_or_default();
    let delay = if fault.hang { LONGEST } else { delay };
    tokio::select! {
        () = tokio::time::sleep(delay) => {}
        () = end.cancelled() => {}
    }
    if fault.hang || fault.drop.is_some() {
        response.extensions_mut().insert(Reset);
        return Ok(response);
    }
    Ok(match fault.truncate {
        Some(bytes) => truncated(response, bytes),
        None => response,
    })
}

/// An answer that announces all of its body and breaks off after so many bytes.
fn truncated(response: Response, bytes: u64) -> Response {
    let (mut parts, body) = response.into_parts();
    if let Some(whole) = http_body::Body::size_hint(&body).exact() {
        parts
            .headers
            .insert(CONTENT_LENGTH, HeaderValue::from(whole));
    }
    let left = usize::try_from(bytes).unwrap_or(usize::MAX);
    Response::from_parts(parts, Body::new(Truncated { body, left }))
}

/// The answer breaks off.
#[derive(Debug, thiserror::Error)]
#[error("the answer is cut short by a rule of the stand-in")]
struct CutShort;

struct Truncated {
    body: Body,
    left: usize,
}

impl http_body::Body for Truncated {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.left == 0 {
            return Poll::Ready(Some(Err(axum::Error::new(CutShort))));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let Some(Ok(frame)) = frame else {
            return Poll::Ready(frame);
        };
        let cut = frame.map_data(|data| {
            let cut = data.slice(..data.len().min(self.left));
            self.left = self.left.saturating_sub(cut.len());
            cut
        });
        Poll::Ready(Some(Ok(cut)))
    }
}
