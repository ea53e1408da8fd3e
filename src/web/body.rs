//! Reading a request's body within its limits.

use axum::body::Body;
use axum::body::Bytes;
use bytes::BytesMut;
use http_body::Body as _;
use http_body_util::BodyExt;

use super::budget::Budget;
use super::context::RequestContext;
use super::error::{ApiError, Malformed};

/// So much is held of bodies that are not whole that no more may come.
#[derive(Debug, thiserror::Error)]
#[error("too many bodies are being received")]
struct TooManyBodies;

/// The whole body.
///
/// # Errors
///
/// [`ApiError::BodyTooLarge`] as soon as more than the limit is announced or
/// sent, [`ApiError::RequestTimeout`] if it is not complete by the deadline,
/// [`ApiError::Malformed`] if it breaks off or has trailers,
/// [`ApiError::Unavailable`] if too much is held of bodies that are not whole.
pub async fn read(body: Body, context: &RequestContext) -> Result<Bytes, ApiError> {
    let limit = context.body_limit();
    if usize::try_from(body.size_hint().lower()).is_ok_and(|announced| announced > limit) {
        return Err(ApiError::BodyTooLarge);
    }
    let collected = collect(body, limit, budget(context));
    match tokio::time::timeout_at(context.deadline(), collected).await {
        Ok(collected) => collected,
        Err(_) => Err(ApiError::RequestTimeout),
    }
}

/// What the bytes of this request's body count towards.
fn budget(context: &RequestContext) -> Option<&Budget> {
    let peer = context.peer()?;
    // A worker has a credential, but no tenant of its own.
    let is_caller = context.tenant_id().or(context.credential()).is_some();
    Some(if is_caller {
        &peer.callers_bodies
    } else {
        &peer.strangers_bodies
    })
}

async fn collect(mut body: Body, limit: usize, budget: Option<&Budget>) -> Result<Bytes, ApiError> {
    let mut whole = BytesMut::new();
    let mut held = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::Malformed(Malformed::UnreadableBody))?;
        let data = frame
            .into_data()
            .map_err(|_| ApiError::Malformed(Malformed::Trailers))?;
        if data.len() > limit.saturating_sub(whole.len()) {
            return Err(ApiError::BodyTooLarge);
        }
        // Most bodies come in one piece; that is neither copied nor waited with.
        if whole.is_empty() && body.is_end_stream() {
            return Ok(data);
        }
        if let Some(budget) = budget {
            let held = held.get_or_insert_with(|| budget.take_beyond(0));
            if !held.grow(data.len()) {
                return Err(ApiError::unavailable(TooManyBodies));
            }
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}
