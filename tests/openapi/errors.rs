//! Every error that a call can be answered with is documented for it.

use std::collections::BTreeSet;

use kootask::api::{CREATE, DETAIL, LIST, RECIPIENT, RESULT};
use kootask::tenant::{ATTEMPTS, CANCEL, FAILURES, RETRY};
use kootask::web::error::{ApiError, Malformed, Reason, TaskState, Violation};
use kootask::web::language::Language;
use kootask::worker;
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
        ApiError::ReportRefused(Violation::new("fence", Reason::Superseded).into()),
        ApiError::NotInThisState(TaskState::New),
        ApiError::NotInThisState(TaskState::Waiting),
        ApiError::NotInThisState(TaskState::Executing),
        ApiError::NotInThisState(TaskState::Success),
        ApiError::NotInThisState(TaskState::Failed),
        ApiError::TooManyLeases,
        ApiError::TooManyRequests(std::time::Duration::from_secs(1)),
        ApiError::internal(std::fmt::Error),
        ApiError::unavailable(std::fmt::Error),
    ]
}

const KOODRIVES: &[&str] = &[CREATE, LIST, DETAIL, RESULT, RECIPIENT];
const TENANTS: &[&str] = &[CANCEL, RETRY, ATTEMPTS, FAILURES];
const WORKERS: &[&str] = &[worker::CLAIM, worker::HEARTBEAT];
const REPORTS: &[&str] = &[
    worker::COMPLETE,
    worker::FAIL,
    worker::RELEASE,
    worker::FAILURES,
];

/// The calls that can be answered with it. A new kind must be added here, and
/// above.
fn calls(error: &ApiError) -> Vec<&'static str> {
    match error {
        ApiError::InvalidParameters(_)
        | ApiError::Malformed(_)
        | ApiError::Unauthenticated(_)
        | ApiError::MethodNotAllowed
        | ApiError::RequestTimeout
        | ApiError::BodyTooLarge
        | ApiError::Internal(_)
        | ApiError::Unavailable(_) => [KOODRIVES, TENANTS, WORKERS, REPORTS].concat(),
        ApiError::DateOutsideWindow(_) | ApiError::Forbidden | ApiError::TooManyRequests(_) => {
            [KOODRIVES, TENANTS].concat()
        }
        ApiError::TaskNotFound => [&[DETAIL, RESULT, RECIPIENT], TENANTS, REPORTS].concat(),
        ApiError::RouteNotFound => [&[DETAIL, RECIPIENT], TENANTS, REPORTS].concat(),
        ApiError::UnsupportedMediaType | ApiError::UnsupportedEncoding => {
            [&[CREATE], WORKERS, REPORTS].concat()
        }
        ApiError::IdempotencyMismatch => vec![CREATE],
        ApiError::ReportRefused(_) => REPORTS.to_vec(),
        ApiError::NotInThisState(TaskState::Failed) => vec![CANCEL],
        ApiError::NotInThisState(TaskState::Success) => vec![CANCEL, RETRY],
        ApiError::NotInThisState(_) => vec![RETRY],
        ApiError::TooManyLeases => vec![worker::CLAIM],
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
            for (header, of_statuses) in [
                ("WWW-Authenticate", &[401][..]),
                ("Allow", &[405]),
                ("Retry-After", &[429, 503]),
            ] {
                assert_eq!(
                    headers[header].is_object(),
                    of_statuses.contains(&status.as_u16()),
                    "{error} of {call:?}"
                );
            }
        }
    }
}
