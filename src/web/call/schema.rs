//! What schemas are made of, and the schema of the error body.

use utoipa::ToSchema;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr, Schema};

/// The class of the visible ASCII characters, for [`matching`].
pub const VISIBLE: &str = "[!-~]";

/// The name of the error body.
pub(super) const ERROR: &str = "Error";
const ERROR_DETAIL: &str = "ErrorDetail";

/// A reference to the schema of a type.
#[must_use]
pub fn of<T: ToSchema>() -> Ref {
    Ref::from_schema_name(T::name())
}

/// As [`of`], with a description of its own.
#[must_use]
pub fn described<T: ToSchema>(description: &str) -> RefOr<Schema> {
    let mut reference = of::<T>();
    description.clone_into(&mut reference.description);
    reference.into()
}

/// A string of one to `most` characters, each of this class.
#[must_use]
pub fn matching(class: &str, most: usize) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(format!("^{class}{{1,{most}}}$")))
        .min_length(Some(1))
        .max_length(Some(most))
}

/// An integer.
#[must_use]
pub fn integer() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer)
}

/// This schema, or null: a field of a request that may be left out.
#[must_use]
pub fn or_null(schema: ObjectBuilder, one: Type) -> ObjectBuilder {
    schema.schema_type(SchemaType::from_iter([one, Type::Null]))
}

/// An integer that must be one of these.
pub fn one_of_integers(values: impl IntoIterator<Item = impl Into<u32>>) -> ObjectBuilder {
    integer().enum_values(Some(values.into_iter().map(Into::into)))
}

/// The schemas of the error body.
pub(super) fn of_errors() -> [(String, RefOr<Schema>); 2] {
    [
        (ERROR.to_owned(), error()),
        (ERROR_DETAIL.to_owned(), error_detail()),
    ]
}

fn error() -> RefOr<Schema> {
    let details = ArrayBuilder::new()
        .items(Ref::from_schema_name(ERROR_DETAIL))
        .min_items(Some(1))
        .description(Some("The fields at fault; absent where no field is."));
    ObjectBuilder::new()
        .property("code", integer().description(Some("KooDrive's code.")))
        .property("msg", text("What went wrong, in the language asked for."))
        .property("details", details)
        .required("code")
        .required("msg")
        .description(Some("The body of every error."))
        .into()
}

fn error_detail() -> RefOr<Schema> {
    let field = text("The name of the header, parameter or body field.");
    ObjectBuilder::new()
        .property("field", field)
        .property("reason", text("What is wrong with it."))
        .required("field")
        .required("reason")
        .into()
}

/// The part of an error body that its status determines.
pub(super) fn error_with_code(codes: impl IntoIterator<Item = u32>) -> ObjectBuilder {
    ObjectBuilder::new().property("code", one_of_integers(codes))
}

fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
}
