//! Where a request's body ends: what a proxy before the service may see otherwise
//! is refused.

use http::HeaderMap;
use http::header::TRANSFER_ENCODING;

use super::error::{ApiError, Malformed};

/// Accepts a request whose body is of a known length or chunked, once.
///
/// # Errors
///
/// [`Malformed::TransferEncoding`].
pub(super) fn judge(headers: &HeaderMap) -> Result<(), ApiError> {
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    match (encodings.next(), encodings.next()) {
        (None, _) => Ok(()),
        (Some(one), None) if one.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(ApiError::Malformed(Malformed::TransferEncoding)),
    }
}
