//! The form of the headers that every call must carry.

use http::header::{AsHeaderName, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;

use super::x_date;
use crate::task::Identifier;
use crate::web::error::{ApiError, Malformed, Reason, Violation};

/// The app-auth headers, well-formed but not yet believed.
#[derive(Debug)]
pub(super) struct AppAuthHeaders {
    pub(super) user_id: Identifier,
    pub(super) date: Timestamp,
}

impl AppAuthHeaders {
    /// Reads `X-User-Id`, `X-Date` and `Host`. `earlier` holds violations found
    /// before, so that a client learns of all of them at once.
    pub(super) fn read(parts: &Parts, earlier: Option<Violation>) -> Result<Self, ApiError> {
        host(parts).map_err(ApiError::Malformed)?;
        let user_id = field(&parts.headers, "X-User-Id", |value| {
            let text = value.to_str().unwrap_or_default().trim();
            text.parse().map_err(|_| Reason::NotAnIdentifier)
        });
        let date = field(&parts.headers, "X-Date", |value| {
            x_date::parse(value.as_bytes().trim_ascii()).ok_or(Reason::NotADate)
        });
        match (earlier, user_id, date) {
            (None, Ok(user_id), Ok(date)) => Ok(Self { user_id, date }),
            (earlier, user_id, date) => Err(ApiError::InvalidParameters(
                [user_id.err(), date.err(), earlier]
                    .into_iter()
                    .flatten()
                    .collect(),
            )),
        }
    }
}

/// The host that the request names: the `Host` header, or `:authority`.
pub(super) fn host(parts: &Parts) -> Result<&str, Malformed> {
    let host = match single(&parts.headers, HOST) {
        Ok(value) => value.to_str().ok(),
        Err(Reason::Missing) => parts.uri.authority().map(http::uri::Authority::as_str),
        // Whoever stands between may have read the other one.
        Err(_) => return Err(Malformed::RepeatedHost),
    };
    host.filter(|host| !host.trim().is_empty())
        .ok_or(Malformed::NoHost)
}

/// The one value of a header; `Err` holds whether it is absent.
pub(super) fn single(headers: &HeaderMap, name: impl AsHeaderName) -> Result<&HeaderValue, Reason> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value),
        (None, _) => Err(Reason::Missing),
        (Some(_), Some(_)) => Err(Reason::Repeated),
    }
}

fn field<T>(
    headers: &HeaderMap,
    name: &'static str,
    read: impl FnOnce(&HeaderValue) -> Result<T, Reason>,
) -> Result<T, Violation> {
    single(headers, name)
        .and_then(|value| {
            if value.as_bytes().trim_ascii().is_empty() {
                return Err(Reason::Missing);
            }
            read(value)
        })
        .map_err(|reason| Violation::new(name, reason))
}
