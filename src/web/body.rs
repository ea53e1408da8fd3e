//! Reading a request's body within its limits.

use axum::body::Body;
use axum::body::Bytes;
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::context::RequestContext;
use super::error::{ApiError, Malformed};

/// The whole body.
///
/// # Errors
///
/// [`ApiError::BodyTooLarge`] as soon as more than the limit is announced or
/// sent, [`ApiError::RequestTimeout`] if it is not complete by the deadline,
/// [`ApiError::Malformed`] if it breaks off.
pub async fn read(body: Body, context: &RequestContext) -> Result<Bytes, ApiError> {
    let limit = context.body_limit();
    if usize::try_from(body.size_hint().lower()).is_ok_and(|announced| announced > limit) {
        return Err(ApiError::BodyTooLarge);
    }
    let collected = Limited::new(body, limit).collect();
    match tokio::time::timeout_at(context.deadline(), collected).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ApiError::BodyTooLarge),
        Ok(Err(_)) => Err(ApiError::Malformed(Malformed::UnreadableBody)),
        Err(_) => Err(ApiError::RequestTimeout),
    }
}
