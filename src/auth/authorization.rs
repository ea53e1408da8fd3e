//! The `Authorization` header: a signature or a bearer token.

use http::{HeaderMap, header};

use super::headers::single;
use super::signature::SignatureHeader;
use crate::web::error::Reason;

/// The most bytes a bearer token may have: what a head over HTTP/2 has room for. A JWT
/// with many claims has some thousand.
const MAX_TOKEN_LENGTH: usize = 16 * 1024;

/// A credential as presented, well-formed but not yet checked.
pub(super) enum Authorization<'a> {
    /// None at all.
    Absent,
    /// `HMAC-SHA256 AppId=…,SignedHeaders=…,Signature=…`.
    Signature(SignatureHeader<'a>),
    /// `Bearer+TOKEN`, `Bearer TOKEN` or the bare `TOKEN`.
    Bearer(&'a str),
}

impl<'a> Authorization<'a> {
    /// Reads the header; `Err` says for the log what is wrong with its form.
    pub(super) fn read(headers: &'a HeaderMap) -> Result<Self, &'static str> {
        let value = match single(headers, header::AUTHORIZATION) {
            Ok(value) => value,
            Err(Reason::Missing) => return Ok(Self::Absent),
            Err(_) => return Err("more than one Authorization header"),
        };
        let text = value
            .to_str()
            .map_err(|_| "the Authorization header is not ASCII")?
            .trim();
        if let Some(parameters) = strip_scheme(text, SignatureHeader::SCHEME, " ") {
            return SignatureHeader::parse(parameters)
                .map(Self::Signature)
                .ok_or("the signature header is malformed");
        }
        let token = strip_scheme(text, "Bearer", "+ ").unwrap_or(text).trim();
        if is_b64token(token) {
            Ok(Self::Bearer(token))
        } else {
            Err("the bearer token is malformed")
        }
    }
}

/// What follows `scheme`, in any case, and one of `separators`; nothing follows
/// a scheme that stands alone.
fn strip_scheme<'a>(text: &'a str, scheme: &str, separators: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(scheme.len())?;
    if !head.eq_ignore_ascii_case(scheme) {
        return None;
    }
    if rest.is_empty() {
        return Some(rest);
    }
    rest.strip_prefix(|c| separators.contains(c))
}

/// RFC 6750, section 2.1: `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
fn is_b64token(token: &str) -> bool {
    let body = token.trim_end_matches('=');
    !body.is_empty()
        && token.len() <= MAX_TOKEN_LENGTH
        && body
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(value: &str) -> Result<Option<String>, &'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        Authorization::read(&headers).map(|authorization| match authorization {
            Authorization::Bearer(token) => Some(token.to_owned()),
            _ => None,
        })
    }

    #[test]
    fn the_three_spellings_of_a_bearer_token_are_one() {
        for value in [
            "Bearer+abc.d=",
            "Bearer abc.d=",
            "bearer abc.d=",
            "BEARER+abc.d=",
            "abc.d=",
        ] {
            assert_eq!(bearer(value), Ok(Some("abc.d=".to_owned())), "{value}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for value in [
            "",
            "Bearer ",
            "Bearer+",
            "Basic dXNlcg==",
            "a b",
            "=",
            "tok\"en",
            "Bearer a,b",
        ] {
            assert!(bearer(value).is_err(), "{value}");
        }
    }

    #[test]
    fn a_malformed_signature_is_never_taken_for_a_token() {
        for value in ["HMAC-SHA256 AppId=a", "hmac-sha256 x", "HMAC-SHA256 "] {
            assert!(bearer(value).is_err(), "{value}");
        }
    }

    #[test]
    fn two_headers_are_refused() {
        let mut headers = HeaderMap::new();
        headers.append(header::AUTHORIZATION, "one".parse().unwrap());
        headers.append(header::AUTHORIZATION, "two".parse().unwrap());
        assert!(Authorization::read(&headers).is_err());
    }
}
