//! The parameters of the calls.

use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn, ParameterStyle};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};
use utoipa::openapi::{Deprecated, Ref, RefOr, Required, Schema};

use super::{examples, field, schemas};
use crate::api::{create, list};
use crate::task::{Identifier, TaskId, TaskStatus, TaskType};
use crate::web::trace_id;

/// The headers that every call takes, by their names among the components.
const SHARED: [&str; 4] = ["X-User-Id", "X-Date", "language", "X-Traceid"];

/// The visible ASCII characters.
const VISIBLE: &str = "[!-~]";

/// The headers that every call takes.
pub(super) fn components() -> Vec<(String, RefOr<Parameter>)> {
    let [user_id, date, language, trace_id] = SHARED;
    let date_form = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[0-9]{8}T[0-9]{6}Z$"));
    let headers = [
        header(user_id, schemas::of::<Identifier>())
            .required(Required::True)
            .description(Some("The acting user."))
            .example(Some(json!(examples::USER_ID))),
        header(date, date_form)
            .required(Required::True)
            .description(Some(
                "The time of the request in UTC: `YYYYMMDD'T'HHMMSS'Z'`. At most 15 minutes old \
                 and not later than now, but for a small tolerance; otherwise 401.",
            ))
            .example(Some(json!("20251103T070140Z"))),
        header(language, ObjectBuilder::new().schema_type(Type::String))
            .description(Some(
                "A BCP 47 tag in any case, with `-` or `_`: the language of `msg`, `en-US` or \
                 `zh-CN`. Unknown or absent is `en-US`; never an error.",
            ))
            .example(Some(json!("en-US"))),
        header(trace_id, trace_id_form()).description(Some(
            "Names the request in logs: 1 to 128 visible ASCII characters. Comes back in the \
                 answer's `X-Traceid`; absent: one of 58 characters is made.",
        )),
    ];
    let named = |parameter: Parameter| (parameter.name.clone(), parameter.into());
    headers.map(ParameterBuilder::build).map(named).into()
}

/// The form of a trace id.
pub(super) fn trace_id_form() -> ObjectBuilder {
    schemas::matching(VISIBLE, trace_id::MAX_LENGTH)
}

/// References to the headers that every call takes.
pub(super) fn shared() -> impl Iterator<Item = Ref> {
    let reference = |name| Ref::new(format!("#/components/parameters/{name}"));
    SHARED.into_iter().map(reference)
}

/// The parameters of the create call.
pub(super) fn create() -> Vec<ParameterBuilder> {
    vec![
        header(
            "Idempotency-Key",
            schemas::matching(VISIBLE, create::MAX_KEY_LENGTH),
        )
        .description(Some(
            "Makes a retry safe: within 24 hours the same key, tenant and body give the first \
             answer again; the same key with another body gets 422. A signed request without it \
             has its signature for a key.",
        )),
    ]
}

/// The parameters of the list call.
pub(super) fn list() -> Vec<ParameterBuilder> {
    let statuses = ArrayBuilder::new().items(schemas::of::<TaskStatus>());
    let page_size = schemas::integer()
        .minimum(Some(1))
        .maximum(Some(list::MAX_PAGE_SIZE))
        .default(Some(json!(list::MAX_PAGE_SIZE)));
    let order = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(["asc", "desc"]))
        .default(Some(json!("asc")));
    vec![
        query("taskType", schemas::of::<TaskType>()).description(Some("Only tasks of this type.")),
        query("status", statuses)
            .style(Some(ParameterStyle::Form))
            .explode(Some(true))
            .description(Some(
                "Only tasks in one of these statuses: `status=1&status=2` or `status=1,2`.",
            )),
        query("pageSize", page_size).description(Some("The most tasks of a page.")),
        query("pageCursor", schemas::of::<TaskId>()).description(Some(
            "The `nextCursor` of the page before. Walking it gives every task that existed at \
             the start exactly once, whatever is created meanwhile.",
        )),
        query("order", order).description(Some("`asc`: oldest first; `desc`: newest first.")),
    ]
}

/// The parameters of the result call.
pub(super) fn result() -> Vec<ParameterBuilder> {
    vec![
        query("taskId", schemas::of::<TaskId>())
            .description(Some(
                "The batch import; absent: the caller's newest. The id of a transfer gets 400.",
            ))
            .example(Some(json!(examples::IMPORT_ID))),
        query("taskid", schemas::of::<TaskId>())
            .deprecated(Some(Deprecated::True))
            .description(Some(
                "Another spelling of `taskId`; where both are given they must agree.",
            )),
    ]
}

/// The parameters of the detail call.
pub(super) fn detail() -> Vec<ParameterBuilder> {
    vec![in_path::<TaskId>("task_id", json!(examples::TASK_ID))]
}

/// The parameters of the recipient call.
pub(super) fn recipient() -> Vec<ParameterBuilder> {
    vec![in_path::<Identifier>(
        "src_user_id",
        json!(examples::SRC_USER_ID),
    )]
}

fn header(name: &str, schema: impl Into<RefOr<Schema>>) -> ParameterBuilder {
    parameter(name, ParameterIn::Header, schema)
}

/// A query parameter; without a value it counts as absent.
fn query(name: &str, schema: impl Into<RefOr<Schema>>) -> ParameterBuilder {
    parameter(name, ParameterIn::Query, schema).extensions(field("allowEmptyValue", true))
}

fn in_path<T: ToSchema>(name: &str, example: Value) -> ParameterBuilder {
    parameter(name, ParameterIn::Path, schemas::of::<T>())
        .required(Required::True)
        .example(Some(example))
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
