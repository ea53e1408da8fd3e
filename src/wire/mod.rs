//! What the calls of every room write alike: the numbers and forms of types,
//! statuses, times and parameters, with their schemas.
//!
//! Contract: `api.md`.

pub mod examples;
mod import_failure;
mod parameters;

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{KnownFormat, RefOr, Schema, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

pub use self::import_failure::ImportFailure;
pub use self::parameters::Parameters;
use crate::task::{TaskId, TaskStatus, TaskType};
use crate::web::call::schema;
use crate::web::error::Reason;
use crate::web::path::PathParameter;

/// A time as KooDrive writes it: `2024-08-12T07:22:33.000Z`.
#[derive(Debug, Serialize)]
pub struct Time(String);

impl From<Timestamp> for Time {
    fn from(time: Timestamp) -> Self {
        Self(format!("{time:.3}"))
    }
}

impl PathParameter for TaskId {
    const NAME: &'static str = "task_id";
    const REASON: Reason = Reason::NotATaskId;
}

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

/// The `taskType` of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TaskTypeNumber(u8);

impl From<TaskType> for TaskTypeNumber {
    fn from(kind: TaskType) -> Self {
        Self(match kind {
            TaskType::TransferAndDeletion => 0,
            TaskType::BatchImport => 1,
        })
    }
}

impl From<TaskTypeNumber> for u32 {
    fn from(TaskTypeNumber(number): TaskTypeNumber) -> Self {
        number.into()
    }
}

impl TaskTypeNumber {
    /// The type that this number stands for.
    #[must_use]
    pub fn task_type(number: i64) -> Option<TaskType> {
        let mut types = TaskType::ALL.into_iter();
        types.find(|kind| i64::from(Self::from(*kind).0) == number)
    }
}

impl ToSchema for TaskTypeNumber {
    fn name() -> Cow<'static, str> {
        "TaskType".into()
    }
}

impl PartialSchema for TaskTypeNumber {
    fn schema() -> RefOr<Schema> {
        schema::one_of_integers(TaskType::ALL.map(Self::from))
            .description(Some("0: transfer and deletion; 1: batch import."))
            .into()
    }
}

/// The `status` of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StatusNumber(u8);

impl From<TaskStatus> for StatusNumber {
    fn from(status: TaskStatus) -> Self {
        Self(match status {
            // KooDrive has no word for a task that waits to be tried again.
            TaskStatus::New | TaskStatus::Waiting => 0,
            TaskStatus::Executing => 1,
            TaskStatus::Success => 2,
            TaskStatus::Failed => 3,
        })
    }
}

impl StatusNumber {
    /// The statuses that are shown as this number; none if it is unknown.
    pub fn statuses(number: i64) -> impl Iterator<Item = TaskStatus> {
        let statuses = TaskStatus::ALL.into_iter();
        statuses.filter(move |status| i64::from(Self::from(*status).0) == number)
    }
}

impl ToSchema for StatusNumber {
    fn name() -> Cow<'static, str> {
        "TaskStatus".into()
    }
}

impl PartialSchema for StatusNumber {
    fn schema() -> RefOr<Schema> {
        let mut numbers = TaskStatus::ALL.map(|status| Self::from(status).0).to_vec();
        numbers.sort_unstable();
        numbers.dedup();
        schema::one_of_integers(numbers)
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
