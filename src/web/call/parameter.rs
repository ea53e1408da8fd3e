//! Parameters as the document shows them.

use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Required, Schema};

use super::schema;
use crate::web::trace_id;

/// An optional header.
pub fn header(name: &str, schema: impl Into<RefOr<Schema>>) -> ParameterBuilder {
    parameter(name, ParameterIn::Header, schema)
}

/// An optional query parameter; without a value it counts as absent.
pub fn query(name: &str, schema: impl Into<RefOr<Schema>>) -> ParameterBuilder {
    parameter(name, ParameterIn::Query, schema).extensions(field("allowEmptyValue", true))
}

/// The path's parameter of this name.
pub fn in_path<T: ToSchema>(name: &str, example: impl Into<Value>) -> ParameterBuilder {
    parameter(name, ParameterIn::Path, schema::of::<T>())
        .required(Required::True)
        .example(Some(example.into()))
}

fn parameter(
    name: &str,
    parameter_in: ParameterIn,
    schema: impl Into<RefOr<Schema>>,
) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(parameter_in)
        .required(Required::False)
        .schema(Some(schema))
}

/// The headers that every call takes, whoever may make it.
pub(super) fn of_every_call() -> [Parameter; 2] {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let language = header("language", text)
        .description(Some(
            "A BCP 47 tag in any case, with `-` or `_`: the language of `msg`, `en-US` or \
             `zh-CN`. Unknown or absent is `en-US`; never an error.",
        ))
        .example(Some(json!("en-US")));
    let trace_id = header("X-Traceid", trace_id_form()).description(Some(
        "Names the request in logs: 1 to 128 visible ASCII characters. Comes back in the \
         answer's `X-Traceid`; absent: one of 58 characters is made.",
    ));
    [language.build(), trace_id.build()]
}

/// The form of a trace id.
pub(super) fn trace_id_form() -> ObjectBuilder {
    schema::matching(schema::VISIBLE, trace_id::MAX_LENGTH)
}

/// A field of OpenAPI's that utoipa has no name for.
pub(super) fn field(name: &str, value: bool) -> Option<Extensions> {
    Some(Extensions::from_iter([(name, value)]))
}
