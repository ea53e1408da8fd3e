//! JSON bodies: how one is declared, its object, whose fields are taken as they come,
//! and its integers.

mod integer;
mod object;

use axum::body::{Body, Bytes};
use http::{HeaderMap, HeaderName, header};

pub use self::integer::integer;
pub use self::object::Object;
use super::body;
use super::context::RequestContext;
use super::error::ApiError;

/// The bytes of a body that is declared as JSON, or not declared at all.
///
/// # Errors
///
/// [`ApiError::UnsupportedMediaType`], [`ApiError::UnsupportedEncoding`], and
/// those of [`body::read`].
pub async fn read(
    headers: &HeaderMap,
    body: Body,
    context: &RequestContext,
) -> Result<Bytes, ApiError> {
    let is_json = |value: &str| {
        let essence = value.split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case("application/json")
    };
    let is_plain = |value: &str| {
        let mut codings = value.split(',');
        codings.all(|coding| coding.trim().eq_ignore_ascii_case("identity"))
    };
    if !every_value(headers, header::CONTENT_TYPE, is_json) {
        return Err(ApiError::UnsupportedMediaType);
    }
    if !every_value(headers, header::CONTENT_ENCODING, is_plain) {
        return Err(ApiError::UnsupportedEncoding);
    }
    body::read(body, context).await
}

/// Whether every value of a header is as it should be; an empty one counts as
/// absent.
fn every_value(headers: &HeaderMap, name: HeaderName, is_good: impl Fn(&str) -> bool) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter(|value| !value.as_bytes().trim_ascii().is_empty())
        .all(|value| value.to_str().is_ok_and(&is_good))
}
