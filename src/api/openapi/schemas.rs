//! The schemas: of the answers as derived, of the values that they are made of,
//! of the create call's body and of the error body.

use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, SchemaType, Type};
use utoipa::openapi::{KnownFormat, Ref, RefOr, Schema, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use crate::api::create::CreateAnswer;
use crate::api::detail::DetailAnswer;
use crate::api::list::ListAnswer;
use crate::api::recipient::RecipientAnswer;
use crate::api::result::ResultAnswer;
use crate::task::{Identifier, TaskId, TaskStatus, TaskType};

/// The name of the create call's body.
pub(super) const CREATE_REQUEST: &str = "CreateRequest";
const TRANSFER: &str = "TransferRequest";
const BATCH_IMPORT: &str = "BatchImportRequest";
/// The name of the error body.
pub(super) const ERROR: &str = "Error";
const ERROR_DETAIL: &str = "ErrorDetail";

/// A time as KooDrive writes it.
pub(in crate::api) struct Time;

/// Every schema that has a name.
pub(super) fn components() -> Vec<(String, RefOr<Schema>)> {
    let mut schemas = vec![
        (CREATE_REQUEST.to_owned(), create_request()),
        (TRANSFER.to_owned(), transfer_request()),
        (BATCH_IMPORT.to_owned(), batch_import_request()),
        (ERROR.to_owned(), error()),
        (ERROR_DETAIL.to_owned(), error_detail()),
    ];
    add::<CreateAnswer>(&mut schemas);
    add::<ListAnswer>(&mut schemas);
    add::<DetailAnswer>(&mut schemas);
    add::<ResultAnswer>(&mut schemas);
    add::<RecipientAnswer>(&mut schemas);
    schemas
}

/// Adds the schema of a type and of all that it is made of.
fn add<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

/// A reference to the schema of a type.
pub(super) fn of<T: ToSchema>() -> Ref {
    Ref::from_schema_name(T::name())
}

impl ToSchema for Identifier {}

impl PartialSchema for Identifier {
    fn schema() -> RefOr<Schema> {
        matching("[A-Za-z0-9_-]", Self::MAX_LENGTH)
            .description(Some(
                "The id of a user, an organization, a result or a tenant. Always a string: a \
                 JSON number of its size loses digits in many clients.",
            ))
            .into()
    }
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

impl ToSchema for TaskType {}

impl PartialSchema for TaskType {
    fn schema() -> RefOr<Schema> {
        integer()
            .enum_values(Some(Self::ALL.map(|kind| kind as u8)))
            .description(Some("0: transfer and deletion; 1: batch import."))
            .into()
    }
}

impl ToSchema for TaskStatus {}

impl PartialSchema for TaskStatus {
    fn schema() -> RefOr<Schema> {
        integer()
            .enum_values(Some(Self::ALL.map(|status| status as u8)))
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

/// A string of one to `most` characters, each of this class.
pub(super) fn matching(class: &str, most: usize) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(format!("^{class}{{1,{most}}}$")))
        .min_length(Some(1))
        .max_length(Some(most))
}

pub(super) fn integer() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer)
}

/// An integer that must be one of these.
fn one_of_integers(values: impl IntoIterator<Item = u32>) -> ObjectBuilder {
    integer().enum_values(Some(values))
}

fn create_request() -> RefOr<Schema> {
    OneOfBuilder::new()
        .item(Ref::from_schema_name(TRANSFER))
        .item(Ref::from_schema_name(BATCH_IMPORT))
        .description(Some(
            "What to do: a transfer and deletion unless `taskType` says otherwise. Fields of the \
             other task type and unknown fields are ignored.",
        ))
        .into()
}

fn transfer_request() -> RefOr<Schema> {
    let transfer = TaskType::TransferAndDeletion as u8;
    let task_type = ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Integer, Type::Null]))
        .enum_values(Some([transfer.into(), serde_json::Value::Null]))
        .default(Some(transfer.into()))
        .description(Some("Absent or null is 0."));
    let properties = ObjectBuilder::new()
        .property("taskType", task_type)
        .property("srcUserId", identifier("The leaving user."))
        .property(
            "dstUserId",
            identifier("The recipient of the files; must differ from `srcUserId`."),
        );
    properties
        .required("srcUserId")
        .required("dstUserId")
        .description(Some(
            "Transfers a leaving user's files to another user and deletes the account.",
        ))
        .into()
}

fn batch_import_request() -> RefOr<Schema> {
    let properties = ObjectBuilder::new()
        .property("taskType", one_of_integers([TaskType::BatchImport as u32]))
        .property("resultId", identifier("The uploaded result to import."))
        .property("orgId", identifier("The organization that the users join."))
        .property("orgUserId", identifier("The creator's orgUserId."));
    ["taskType", "resultId", "orgId", "orgUserId"]
        .into_iter()
        .fold(properties, ObjectBuilder::required)
        .description(Some("Imports users in a batch."))
        .into()
}

fn identifier(description: &str) -> RefOr<Schema> {
    let mut reference = of::<Identifier>();
    description.clone_into(&mut reference.description);
    reference.into()
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
