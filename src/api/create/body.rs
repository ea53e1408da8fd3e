//! The create call's body as the document shows it.

use serde_json::{Value, json};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::task::{Identifier, TaskType};
use crate::web::call::schema;
use crate::wire::TaskTypeNumber;
use crate::wire::examples;

const TRANSFER: &str = "TransferRequest";
const BATCH_IMPORT: &str = "BatchImportRequest";

/// The body: either kind of task.
pub(super) struct CreateBody;

impl ToSchema for CreateBody {
    fn name() -> std::borrow::Cow<'static, str> {
        "CreateRequest".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((TRANSFER.to_owned(), transfer_request()));
        schemas.push((BATCH_IMPORT.to_owned(), batch_import_request()));
    }
}

impl PartialSchema for CreateBody {
    fn schema() -> RefOr<Schema> {
        create_request()
    }
}

/// A body of each kind.
pub(super) fn examples() -> [(&'static str, Value); 2] {
    let transfer = json!({
        "taskType": 0,
        "srcUserId": examples::SRC_USER_ID,
        "dstUserId": examples::DST_USER_ID,
    });
    let batch_import = json!({
        "taskType": 1,
        "resultId": "1575416580416769793",
        "orgId": "d5ac574bd2934a69baa4f23c55daa8d4",
        "orgUserId": examples::USER_ID,
    });
    [("transfer", transfer), ("batchImport", batch_import)]
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
    let transfer = u32::from(TaskTypeNumber::from(TaskType::TransferAndDeletion));
    let task_type = ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Integer, Type::Null]))
        .enum_values(Some([transfer.into(), serde_json::Value::Null]))
        .default(Some(transfer.into()))
        .description(Some("Absent or null is 0."));
    let properties = ObjectBuilder::new()
        .property("taskType", task_type)
        .property(
            "srcUserId",
            schema::described::<Identifier>("The leaving user."),
        )
        .property(
            "dstUserId",
            schema::described::<Identifier>(
                "The recipient of the files; must differ from `srcUserId`.",
            ),
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
        .property(
            "taskType",
            schema::one_of_integers([TaskTypeNumber::from(TaskType::BatchImport)]),
        )
        .property(
            "resultId",
            schema::described::<Identifier>("The uploaded result to import."),
        )
        .property(
            "orgId",
            schema::described::<Identifier>("The organization that the users join."),
        )
        .property(
            "orgUserId",
            schema::described::<Identifier>("The creator's orgUserId."),
        );
    ["taskType", "resultId", "orgId", "orgUserId"]
        .into_iter()
        .fold(properties, ObjectBuilder::required)
        .description(Some("Imports users in a batch."))
        .into()
}
