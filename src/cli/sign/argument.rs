//! The arguments of `kootask sign` that are read strictly and never repeated: a
//! URL, or what stands where another argument belongs, may hold a password.

use std::ffi::OsStr;

use clap::builder::TypedValueParser;
use clap::{Arg, Command, Error};
use http::{HeaderValue, Method, Uri};

use crate::cli::unrepeated::refusal;

/// A request as it is to be written.
const EXAMPLE: &str = "for example: GET http://127.0.0.1:8080/koodrive/ose/v1/task/list";

/// Reads a value, or tells what is wrong without repeating it.
#[derive(Clone, Copy)]
pub(super) struct Strict<T>(pub(super) fn(&str) -> Result<T, String>);

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Strict<T> {
    type Value = T;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<T, Error> {
        let read = match value.to_str() {
            Some(value) => (self.0)(value),
            None => Err("is no UTF-8".to_owned()),
        };
        read.map_err(|problem| refusal(command, argument, &problem))
    }
}

/// A method in any case, for those that services know have capitals alone.
pub(super) fn method(text: &str) -> Result<Method, String> {
    Method::from_bytes(text.to_ascii_uppercase().as_bytes())
        .map_err(|_| format!("is no method; the method comes first, then the URL, {EXAMPLE}"))
}

/// A URL with a host and without a user. Without a scheme it is one of http, as
/// in curl.
pub(super) fn url(text: &str) -> Result<Uri, String> {
    if text.is_empty() || text.starts_with('/') {
        return Err(format!("names no host; {EXAMPLE}"));
    }
    let before_path = text.split(['/', '?', '#']).next().unwrap_or_default();
    let has_scheme = before_path.ends_with(':') && text.contains("://");
    let whole = if has_scheme {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let url: Uri = whole
        .parse()
        .map_err(|problem| format!("is no URL ({problem}); {EXAMPLE}"))?;
    if !matches!(url.scheme_str(), Some("http" | "https")) {
        return Err(format!("is neither http nor https; {EXAMPLE}"));
    }
    let authority = url
        .authority()
        .ok_or_else(|| format!("names no host; {EXAMPLE}"))?;
    if authority.as_str().contains('@') {
        return Err(
            "holds a user or a password, which the service takes from no URL: \
             leave out what stands before the @"
                .to_owned(),
        );
    }
    if authority.host().len() < authority.as_str().len() && authority.port_u16().is_none() {
        return Err(format!("has a port that is not from 0 to 65535; {EXAMPLE}"));
    }
    Ok(url)
}

/// The value of a header that every client can send.
pub(super) fn header_value(text: &str) -> Result<HeaderValue, String> {
    let is_visible = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    HeaderValue::from_str(text)
        .ok()
        .filter(|_| is_visible)
        .ok_or_else(|| "must be visible ASCII characters without a space".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_a_scheme_is_one_of_http() {
        for (text, read) in [
            ("localhost:8080/a?b=c", "http://localhost:8080/a?b=c"),
            ("127.0.0.1:8080", "http://127.0.0.1:8080/"),
            ("[::1]:8080/a", "http://[::1]:8080/a"),
            ("h/a?b=http://c", "http://h/a?b=http://c"),
            ("HTTPS://h/a", "https://h/a"),
            ("http://h/a@b?c@d", "http://h/a@b?c@d"),
        ] {
            assert_eq!(url(text).map(|url| url.to_string()), Ok(read.to_owned()));
        }
    }

    #[test]
    fn what_is_no_url_of_a_service_is_refused_with_what_is_wanted() {
        for (text, problem) in [
            ("", "names no host"),
            ("/koodrive", "names no host"),
            ("http://", "is no URL"),
            ("http://h/a b", "is no URL"),
            ("ftp://h/", "neither http nor https"),
            ("http://h:/", "has a port"),
            ("h:70000/", "has a port"),
        ] {
            let refused = url(text).unwrap_err();
            assert!(refused.contains(problem), "{text}: {refused}");
            assert!(refused.contains("http://127.0.0.1:8080/"), "{refused}");
        }
    }
}
