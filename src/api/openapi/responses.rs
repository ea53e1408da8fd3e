//! The errors that a call can be answered with, out of the one table
//! ([`crate::web::error`]), and the headers of answers.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Value, json};
use utoipa::openapi::example::{Example, ExampleBuilder};
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::{Content, ContentBuilder, Ref, RefOr, Response, ResponsesBuilder, Schema};

use super::calls::Call;
use super::{field, parameters, schemas};
use crate::web::error::{ApiError, Malformed, Reason, Violation};
use crate::web::language::Language;

/// The media type of every body.
pub(super) const JSON: &str = "application/json";

/// The header that every answer has.
const TRACE_ID: &str = "X-Traceid";

/// One of each kind of error, under a name for its example.
fn errors() -> Vec<(&'static str, ApiError)> {
    let violation = Violation::new("dstUserId", Reason::Missing);
    vec![
        (
            "invalidParameters",
            ApiError::InvalidParameters(vec![violation]),
        ),
        ("notJson", ApiError::Malformed(Malformed::NotJson)),
        ("notAnObject", ApiError::Malformed(Malformed::NotAnObject)),
        ("noHost", ApiError::Malformed(Malformed::NoHost)),
        ("repeatedHost", ApiError::Malformed(Malformed::RepeatedHost)),
        (
            "unreadableBody",
            ApiError::Malformed(Malformed::UnreadableBody),
        ),
        ("unauthenticated", ApiError::Unauthenticated("")),
        ("forbidden", ApiError::Forbidden),
        ("noSuchPath", ApiError::RouteNotFound),
        ("noSuchTask", ApiError::TaskNotFound),
        ("methodNotAllowed", ApiError::MethodNotAllowed),
        ("requestTimeout", ApiError::RequestTimeout),
        ("bodyTooLarge", ApiError::BodyTooLarge),
        ("unsupportedMediaType", ApiError::UnsupportedMediaType),
        ("idempotencyMismatch", ApiError::IdempotencyMismatch),
        ("internal", ApiError::internal(std::fmt::Error)),
        ("unavailable", ApiError::unavailable(std::fmt::Error)),
    ]
}

/// Whether a call can be answered with this kind of error.
const fn occurs(error: &ApiError, call: Call) -> bool {
    match error {
        ApiError::InvalidParameters(_)
        | ApiError::Malformed(
            Malformed::NoHost | Malformed::RepeatedHost | Malformed::UnreadableBody,
        )
        | ApiError::Unauthenticated(_)
        | ApiError::Forbidden
        | ApiError::MethodNotAllowed
        // Any signed request may have a body, which is read to be hashed.
        | ApiError::RequestTimeout
        | ApiError::BodyTooLarge
        | ApiError::Internal(_)
        | ApiError::Unavailable(_) => true,
        ApiError::Malformed(Malformed::NotJson | Malformed::NotAnObject)
        | ApiError::UnsupportedMediaType
        | ApiError::IdempotencyMismatch => matches!(call, Call::Create),
        ApiError::TaskNotFound => matches!(call, Call::Detail | Call::Result | Call::Recipient),
        // A parameter that is empty or holds a slash makes another path.
        ApiError::RouteNotFound => matches!(call, Call::Detail | Call::Recipient),
    }
}

/// References to the error responses of a call.
pub(super) fn of_call(call: Call) -> ResponsesBuilder {
    let errors = errors().into_iter().map(|(_, error)| error);
    errors
        .filter(|error| occurs(error, call))
        .fold(ResponsesBuilder::new(), |responses, error| {
            let status = error.status();
            let reference = Ref::from_response_name(component_name(status));
            responses.response(status.as_str(), reference)
        })
}

/// The error responses: one for each status, with all errors that have it.
pub(super) fn components() -> impl Iterator<Item = (String, RefOr<Response>)> {
    let mut of_status: BTreeMap<StatusCode, Vec<_>> = BTreeMap::new();
    for named in errors() {
        of_status.entry(named.1.status()).or_default().push(named);
    }
    of_status
        .into_iter()
        .map(|(status, errors)| (component_name(status), response(status, &errors).into()))
}

/// The status' name as one word.
fn component_name(status: StatusCode) -> String {
    status
        .canonical_reason()
        .unwrap_or_default()
        .replace(' ', "")
}

fn response(status: StatusCode, errors: &[(&'static str, ApiError)]) -> Response {
    let lines: Vec<String> = errors
        .iter()
        .map(|(_, error)| format!("{}: {}", error.code(), error.message(Language::EnUs)))
        .collect();
    let mut codes: Vec<u32> = errors.iter().map(|(_, error)| error.code()).collect();
    codes.sort_unstable();
    codes.dedup();
    let schema = AllOfBuilder::new()
        .item(Ref::from_schema_name(schemas::ERROR))
        .item(schemas::error_with_code(codes));
    let examples = errors.iter().map(|(name, error)| (*name, example(error)));
    let content = ContentBuilder::new()
        .schema(Some(schema))
        .examples_from_iter(examples);
    let response = answer(lines.join("\n\n"), content.build());
    match own_header(status) {
        Some(name) => response.header_ref(name, header_ref(name)),
        None => response,
    }
    .build()
}

fn example(error: &ApiError) -> Example {
    let language = Language::EnUs;
    let mut body = json!({"code": error.code(), "msg": error.message(language)});
    let details: Vec<Value> = error
        .violations()
        .iter()
        .map(|at| json!({"field": at.field, "reason": at.reason.message(language)}))
        .collect();
    if let (Some(body), false) = (body.as_object_mut(), details.is_empty()) {
        body.insert("details".to_owned(), details.into());
    }
    ExampleBuilder::new().value(Some(body)).build()
}

/// An answer with a body and the headers that every answer has.
pub(super) fn answer(description: impl Into<String>, content: Content) -> ResponseBuilder {
    ResponseBuilder::new()
        .description(description)
        .header_ref(TRACE_ID, header_ref(TRACE_ID))
        .content(JSON, content)
}

/// The header that goes with a status.
fn own_header(status: StatusCode) -> Option<&'static str> {
    match status {
        StatusCode::UNAUTHORIZED => Some("WWW-Authenticate"),
        StatusCode::METHOD_NOT_ALLOWED => Some("Allow"),
        StatusCode::SERVICE_UNAVAILABLE => Some("Retry-After"),
        _ => None,
    }
}

fn header_ref(name: &str) -> Ref {
    Ref::new(format!("#/components/headers/{name}"))
}

/// The headers of answers.
pub(super) fn headers() -> [(String, RefOr<Header>); 4] {
    let text = || {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
    };
    [
        header(
            TRACE_ID,
            parameters::trace_id_form(),
            "The request's trace id: the client's, or the one that was made for it.",
        ),
        header(
            "WWW-Authenticate",
            text(),
            "The ways to authenticate: `Bearer` and `HMAC-SHA256`.",
        ),
        header("Allow", text(), "The methods that the path has."),
        header(
            "Retry-After",
            schemas::integer().minimum(Some(1)),
            "The seconds to wait before trying again.",
        ),
    ]
}

fn header(
    name: &str,
    schema: impl Into<RefOr<Schema>>,
    description: &str,
) -> (String, RefOr<Header>) {
    let header = HeaderBuilder::new()
        .schema(Some(schema))
        .description(Some(description))
        .extensions(field("required", true));
    (name.to_owned(), header.build().into())
}
