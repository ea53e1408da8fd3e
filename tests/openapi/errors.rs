//! Every error that a call can be answered with is documented for it.

use std::collections::BTreeSet;

use kootask::api::{CREATE, DETAIL, LIST, RECIPIENT, RESULT};
use kootask::web::error::{ApiError, Malformed, Reason, Violation};
use kootask::web::language::Language;
use serde_json::{Value, json};

use super::{document, operations};

/// One of each kind.
fn errors() -> Vec<ApiError> {
    vec![
        ApiError::from(Violation::new("dstUserId", Reason::Missing)),
        ApiError::Malformed(Malformed::NotJson),
        ApiError::Malformed(Malformed::DifferentHosts),
        ApiError::Unauthenticated("".into()),
        ApiError::DateOutsideWindow(Violation::new("X-Date", Reason::Missing).into()),
        ApiError::Forbidden,
        ApiError::RouteNotFound,
        ApiError::TaskNotFound,
        ApiError::MethodNotAllowed,
        ApiError::RequestTimeout,
        ApiError::BodyTooLarge,
        ApiError::UnsupportedMediaType,
        ApiError::UnsupportedEncoding,
        ApiError::IdempotencyMismatch,
        ApiError::internal(std::fmt::Error),
        ApiError::unavailable(std::fmt::Error),
    ]
}

/// The calls that can be answered with it. A new kind must be added here, and
/// above.
fn calls(error: &ApiError) -> &'static [&'static str] {
    match error {
        ApiError::InvalidParameters(_)
        | ApiError::Malformed(_)
        | ApiError::Unauthenticated(_)
        | ApiError::DateOutsideWindow(_)
        | ApiError::Forbidden
        | ApiError::MethodNotAllowed
        | ApiError::RequestTimeout
        | ApiError::BodyTooLarge
        | ApiError::Internal(_)
        | ApiError::Unavailable(_) => &[CREATE, LIST, DETAIL, RESULT, RECIPIENT],
        ApiError::TaskNotFound => &[DETAIL, RESULT, RECIPIENT],
        ApiError::RouteNotFound => &[DETAIL, RECIPIENT],
        ApiError::UnsupportedMediaType
        | ApiError::UnsupportedEncoding
        | ApiError::IdempotencyMismatch => &[CREATE],
    }
}

/// A response of an operation, looked up if it is a reference.
fn response<'a>(document: &'a Value, operation: &'a Value, status: &str) -> &'a Value {
    let response = &operation["responses"][status];
    match response["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap(),
        None => response,
    }
}

#[test]
fn a_call_has_the_statuses_of_its_errors_and_no_others() {
    for ((path, _), operation) in operations(&document()) {
        let possible = errors()
            .into_iter()
            .filter(|error| calls(error).contains(&path.as_str()));
        let mut expected: BTreeSet<_> = possible
            .map(|error| error.status().as_str().to_owned())
            .collect();
        expected.insert("200".to_owned());
        let documented: BTreeSet<_> = operation["responses"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        assert_eq!(documented, expected, "{path}");
    }
}

#[test]
fn each_error_is_there_with_its_code_its_message_and_its_headers() {
    let document = document();
    let operations = operations(&document);
    for error in errors() {
        let status = error.status();
        let of_its_calls = operations
            .iter()
            .filter(|((path, _), _)| calls(&error).contains(&path.as_str()));
        for (call, operation) in of_its_calls {
            let response = response(&document, operation, status.as_str());
            let content = &response["content"]["application/json"];
            let codes = &content["schema"]["allOf"][1]["properties"]["code"]["enum"];
            let code = json!(error.code());
            assert!(
                codes.as_array().unwrap().contains(&code),
                "{error} of {call:?}"
            );
            let mut examples = content["examples"].as_object().unwrap().values();
            let message = error.message(Language::EnUs);
            assert!(
                examples.any(|example| example["value"]["msg"] == message),
                "{error} of {call:?}"
            );
            let headers = &response["headers"];
            assert!(headers["X-Traceid"].is_object(), "{error} of {call:?}");
            for (header, of_status) in [
                ("WWW-Authenticate", 401),
                ("Allow", 405),
                ("Retry-After", 503),
            ] {
                assert_eq!(
                    headers[header].is_object(),
                    status == of_status,
                    "{error} of {call:?}"
                );
            }
        }
    }
}
