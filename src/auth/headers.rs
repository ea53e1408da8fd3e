//! The form of the headers that every call must carry.

use std::net::Ipv6Addr;

use http::header::{AsHeaderName, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;

use super::x_date;
use crate::task::Identifier;
use crate::web::error::{ApiError, Malformed, Reason, Violation};

/// The most characters of a host's name, as in DNS.
const MAX_HOST_LENGTH: usize = 255;

/// The app-auth headers, well-formed but not yet checked.
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

/// The host that the request names: the `Host` header, `:authority` or that of an
/// absolute request target. Where two are there they must be the same, since
/// whoever stands between may have read the other one.
pub(super) fn host(parts: &Parts) -> Result<&str, Malformed> {
    let target = parts.uri.authority().map(http::uri::Authority::as_str);
    let header = match single(&parts.headers, HOST) {
        Ok(value) => Some(value.to_str().map_err(|_| Malformed::NotAHost)?.trim()),
        Err(Reason::Missing) => None,
        Err(_) => return Err(Malformed::RepeatedHost),
    };
    let host = match (header, target) {
        (Some(header), Some(target)) if !header.eq_ignore_ascii_case(target) => {
            return Err(Malformed::DifferentHosts);
        }
        (header, target) => header.or(target).unwrap_or_default(),
    };
    if host.is_empty() {
        Err(Malformed::NoHost)
    } else if is_host(host) {
        Ok(host)
    } else {
        Err(Malformed::NotAHost)
    }
}

/// Whether this is `host[:port]` (RFC 9110, section 7.2).
fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        // The colons in the brackets are an IPv6 address' own.
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (text, ""),
    };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit())
        && (port.is_empty() || port.parse::<u16>().is_ok());
    is_port && host.len() <= MAX_HOST_LENGTH && is_host_name(host)
}

/// Whether this is a name or an address, an IPv6 address in brackets (RFC 3986,
/// section 3.2.2). Names with other characters are none that DNS knows.
fn is_host_name(text: &str) -> bool {
    let bracketed = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match bracketed {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            !text.is_empty() && text.bytes().all(is_name)
        }
    }
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
