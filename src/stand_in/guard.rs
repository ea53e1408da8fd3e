//! Who may make the stand-in's own calls: no page of another site, whatever name
//! it gives this machine.
//!
//! Contract: `stand-in.md`, "The page": "Guard".

use std::net::IpAddr;

use axum::body::Body;
use axum::extract::State;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, Request, StatusCode};

use super::StandIn;
use super::answer::Refused;

/// The endings of names that no public site has.
const PRIVATE: [&str; 4] = [".localhost", ".test", ".internal", ".local"];
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses what a page of another site could have sent.
pub(super) async fn guard(
    State(stand_in): State<StandIn>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let trust = &stand_in.0.settings.trust;
    match problem(&parts, trust) {
        Some(problem) => Refused::new(StatusCode::FORBIDDEN, problem).into_response(),
        None => next.run(Request::from_parts(parts, body)).await,
    }
}

fn problem(parts: &Parts, trust: &[String]) -> Option<&'static str> {
    let host = header(&parts.headers, HOST)
        .or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
    let host = host.unwrap_or_default();
    let trusted = |text: &str| trust.iter().any(|name| name.eq_ignore_ascii_case(text));
    if !is_private(host) && !trusted(host) && !trusted(name_of(host)) {
        return Some(
            "the Host is a name that a public site could have; add it to dev.trust if it is meant",
        );
    }
    if matches!(parts.method, Method::GET | Method::HEAD) {
        return None;
    }
    let origin = header(&parts.headers, ORIGIN);
    if origin.is_some_and(trusted) {
        return None;
    }
    let of_another = |origin: &str| {
        let at = origin.split_once("://").map(|(_, host)| host);
        !at.is_some_and(|at| at.eq_ignore_ascii_case(host))
    };
    if parts.headers.get_all(ORIGIN).iter().count() > 1 || origin.is_some_and(of_another) {
        return Some("the Origin differs from the Host; add it to dev.trust if it is meant");
    }
    match header(&parts.headers, SEC_FETCH_SITE) {
        None | Some("same-origin" | "none") => None,
        Some(_) => Some("the request comes from a page of another site (Sec-Fetch-Site)"),
    }
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

/// A host without its port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        // The colons in the brackets are an IPv6 address' own.
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    }
}

/// Whether a host is an address, or a name that no public site has.
pub(super) fn is_private(host: &str) -> bool {
    let name = name_of(host).to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    let address = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(name);
    if name.is_empty() {
        return false;
    }
    address.parse::<IpAddr>().is_ok()
        || !name.contains('.')
        || PRIVATE.iter().any(|ending| name.ends_with(ending))
}

/// Whether an origin is of this machine, or of a name that no public site has.
pub(super) fn is_local_origin(origin: &str) -> bool {
    let Some(("http" | "https", host)) = origin.split_once("://") else {
        return false;
    };
    let name = name_of(host).to_ascii_lowercase();
    let address = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(&name);
    let address: Option<IpAddr> = address.parse().ok();
    name == "localhost"
        || address.is_some_and(|address| address.is_loopback())
        || [".localhost", ".test", ".internal"]
            .iter()
            .any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_of_this_machine_are_local_and_others_are_not() {
        for (origin, is_local) in [
            ("http://localhost:5173", true),
            ("https://127.0.0.1", true),
            ("http://[::1]:80", true),
            ("https://console.test", true),
            ("https://192.0.2.7", false),
            ("https://example.com", false),
            ("https://localhost.example.com", false),
            ("null", false),
        ] {
            assert_eq!(is_local_origin(origin), is_local, "{origin}");
        }
    }

    #[test]
    fn addresses_and_private_names_pass_and_public_names_do_not() {
        for host in [
            "127.0.0.1:8080",
            "[::1]:8080",
            "[::1]",
            "192.0.2.7",
            "localhost",
            "kootask:8080",
            "koodrive.test",
            "a.b.localhost:80",
            "x.internal",
            "printer.local.",
        ] {
            assert!(is_private(host), "{host}");
        }
        for host in [
            "",
            "example.com",
            "evil.example:8080",
            "localhost.example.com",
            "a.tests",
        ] {
            assert!(!is_private(host), "{host}");
        }
    }
}
