//! Answers as the document shows them: the errors, out of the one table
//! ([`crate::web::error`]), and the headers.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Value, json};
use utoipa::openapi::example::{Example, ExampleBuilder};
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::{Content, ContentBuilder, Ref, RefOr, Response, Schema};

use super::{parameter, schema};
use crate::web::error::ApiError;
use crate::web::language::Language;

/// The media type of every body.
pub(super) const JSON: &str = "application/json";

/// The header that every answer has.
const TRACE_ID: &str = "X-Traceid";

/// Kinds of errors by their status, each once.
#[derive(Default)]
pub(super) struct Errors(BTreeMap<StatusCode, Vec<ApiError>>);

impl Errors {
    pub(super) fn add(&mut self, error: &ApiError) {
        let known = self.0.entry(error.status()).or_default();
        if known.iter().all(|other| other.name() != error.name()) {
            known.push(error.clone());
        }
    }

    /// A response for each status, with all errors that have it.
    pub(super) fn components(&self) -> impl Iterator<Item = (String, RefOr<Response>)> {
        self.0
            .iter()
            .map(|(status, errors)| (component_name(*status), response(*status, errors).into()))
    }
}

/// What every call can be answered with, whoever may make it.
pub(super) fn errors_of_every_call() -> [ApiError; 3] {
    [
        ApiError::MethodNotAllowed,
        ApiError::internal(std::fmt::Error),
        ApiError::unavailable(std::fmt::Error),
    ]
}

/// A reference to the response with this error's status.
pub(super) fn reference(error: &ApiError) -> Ref {
    Ref::from_response_name(component_name(error.status()))
}

/// The status' name as one word.
fn component_name(status: StatusCode) -> String {
    status
        .canonical_reason()
        .unwrap_or_default()
        .replace(' ', "")
}

fn response(status: StatusCode, errors: &[ApiError]) -> Response {
    let lines: Vec<String> = errors
        .iter()
        .map(|error| format!("{}: {}", error.code(), error.message(Language::EnUs)))
        .collect();
    let mut codes: Vec<u32> = errors.iter().map(ApiError::code).collect();
    codes.sort_unstable();
    codes.dedup();
    let schema = AllOfBuilder::new()
        .item(Ref::from_schema_name(schema::ERROR))
        .item(schema::error_with_code(codes));
    let examples = errors.iter().map(|error| (error.name(), example(error)));
    let content = ContentBuilder::new()
        .schema(Some(schema))
        .examples_from_iter(examples);
    let response = with_body(lines.join("\n\n"), content.build());
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
        .map(|at| json!({"field": at.name(), "reason": at.reason.message(language)}))
        .collect();
    if let (Some(body), false) = (body.as_object_mut(), details.is_empty()) {
        body.insert("details".to_owned(), details.into());
    }
    ExampleBuilder::new().value(Some(body)).build()
}

/// An answer with a body and the headers that every answer has.
pub(super) fn with_body(description: impl Into<String>, content: Content) -> ResponseBuilder {
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
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Some("Retry-After"),
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
            parameter::trace_id_form(),
            "The request's trace id: the client's, or the one that was made for it.",
        ),
        header(
            "WWW-Authenticate",
            text(),
            "The ways to authenticate, one a line: `Bearer` and, but of workers, `HMAC-SHA256`.",
        ),
        header("Allow", text(), "The methods that the path has."),
        header(
            "Retry-After",
            schema::integer().minimum(Some(1)),
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
        .extensions(parameter::field("required", true));
    (name.to_owned(), header.build().into())
}
