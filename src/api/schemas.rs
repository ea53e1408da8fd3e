//! The schemas of the values that answers are made of.

use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{KnownFormat, RefOr, Schema, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use super::wire;
use crate::task::{TaskId, TaskStatus, TaskType};
use crate::web::call::schema;

/// A time as KooDrive writes it.
pub(super) struct Time;

impl ToSchema for TaskId {}

impl PartialSchema for TaskId {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[1-9][0-9]{0,18}$"))
            .min_length(Some(1))
            .max_length(Some(19))
            .description(Some(
                "A positive decimal integer below 2^63, as a string. Ids sort by the time of \
                 creation.",
            ))
            .into()
    }
}

impl ToSchema for TaskType {}

impl PartialSchema for TaskType {
    fn schema() -> RefOr<Schema> {
        schema::integer()
            .enum_values(Some(Self::ALL.map(wire::task_type_number)))
            .description(Some("0: transfer and deletion; 1: batch import."))
            .into()
    }
}

impl ToSchema for TaskStatus {}

impl PartialSchema for TaskStatus {
    fn schema() -> RefOr<Schema> {
        schema::integer()
            .enum_values(Some(wire::status_numbers()))
            .description(Some("0: NEW; 1: EXECUTING; 2: SUCCESS; 3: FAILED."))
            .into()
    }
}

impl ToSchema for Time {}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .pattern(Some(
                "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$",
            ))
            .description(Some("A time in UTC, to the millisecond."))
            .into()
    }
}
