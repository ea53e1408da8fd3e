//! `POST /kootask/v1/worker/tasks/{task_id}/failures`: users that a batch import
//! could not take.

use std::borrow::Cow;

use axum::extract::State;
use serde::Serialize;
use serde_json::json;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::body::{Body, Valid, fence, with_fence};
use super::report::{apply, report, superseded};
use crate::auth::WorkerCaller;
use crate::task::attempt::Fence;
use crate::task::import::ImportFailure;
use crate::task::life_cycle::Command;
use crate::task::{TaskId, TaskService};
use crate::web::answer::Answer;
use crate::web::call::{Access, Call, in_path, schema};
use crate::web::context::Context;
use crate::web::error::{ApiError, Reason, Violation, Violations};
use crate::web::json::Object;
use crate::web::path::{InPath, PathParameter};
use crate::wire::examples;

/// The path of the failures call.
pub const PATH: &str = "/kootask/v1/worker/tasks/{task_id}/failures";

/// The most rows of a request.
const MAX_ROWS: usize = 1000;
/// As many rows of Chinese fit, with the longest names and descriptions.
const BODY_LIMIT: usize = 4 * 1024 * 1024;
/// The most characters of a user's name.
const MAX_NAME: usize = 256;
/// The most characters of what was wrong.
const MAX_DESCRIPTION: usize = 1024;

pub(super) fn call() -> Call<TaskService> {
    let row = json!({"userName": "ss", "desc": "The user exists."});
    let request = json!({"fence": 1, "from": 0, "rows": [row]});
    let answer = json!({"next": 1, "code": 0, "msg": examples::SUCCESS});
    Call::post(Access::Worker, PATH, failures)
        .named(
            "recordFailures",
            "Record failed users of an import",
            "Appends rows from position `from` on. Rows that are there already stay as they are, \
             so that a repeat is harmless; a gap gets 409. Each attempt begins without rows.",
        )
        .parameter(in_path::<TaskId>(TaskId::NAME, examples::IMPORT_ID))
        .body::<FailuresBody>([("failures", request)])
        .body_limit(BODY_LIMIT)
        .answer::<RecordedAnswer>("The rows are kept.", answer)
        .error(ApiError::TaskNotFound)
        .error(superseded())
}

struct FailuresBody {
    fence: Fence,
    from: u64,
    rows: Vec<ImportFailure>,
}

impl Body for FailuresBody {
    fn read(fields: &Object<'_>, wrong: &mut Violations) -> Option<Self> {
        let fence = fence(fields, wrong);
        let from = fields.integer_within("from", 0..=i64::MAX);
        let from = from.and_then(|from| from.ok_or(Violation::new("from", Reason::Missing)));
        let from = wrong.keep(from);
        let rows = fields.objects("rows", 0..=MAX_ROWS, row);
        let rows = rows.map_err(|violations| wrong.extend(violations)).ok();
        Some(Self {
            fence: fence?,
            from: from?.unsigned_abs(),
            rows: rows?,
        })
    }
}

fn row(fields: &Object<'_>, wrong: &mut Violations) -> Option<ImportFailure> {
    let name = wrong.keep(fields.text("userName", MAX_NAME));
    let description = wrong.keep(fields.text("desc", MAX_DESCRIPTION));
    Some(ImportFailure {
        user_name: name?,
        description: description?,
    })
}

impl ToSchema for FailuresBody {
    fn name() -> Cow<'static, str> {
        "RecordFailuresRequest".into()
    }
}

impl PartialSchema for FailuresBody {
    fn schema() -> RefOr<Schema> {
        let text = |most| {
            ObjectBuilder::new()
                .schema_type(Type::String)
                .max_length(Some(most))
                .pattern(Some("^[^\\u0000]*$"))
        };
        let row = ObjectBuilder::new()
            .property(
                "userName",
                text(MAX_NAME).description(Some("As in what is imported.")),
            )
            .property(
                "desc",
                text(MAX_DESCRIPTION).description(Some("What was wrong.")),
            )
            .required("userName")
            .required("desc");
        let from = schema::integer()
            .minimum(Some(0))
            .maximum(Some(i64::MAX))
            .description(Some(
                "The position of the first row, from 0: `next` of the request before.",
            ));
        with_fence()
            .property("from", from)
            .property(
                "rows",
                ArrayBuilder::new().items(row).max_items(Some(MAX_ROWS)),
            )
            .required("from")
            .required("rows")
            .into()
    }
}

/// How many rows there are.
#[derive(Debug, Serialize, ToSchema)]
struct RecordedAnswer {
    /// The position of the next row.
    next: u64,
}

async fn failures(
    State(tasks): State<TaskService>,
    Context(context): Context,
    worker: WorkerCaller,
    InPath(id): InPath<TaskId>,
    Valid(body): Valid<FailuresBody>,
) -> Result<Answer<RecordedAnswer>, ApiError> {
    context.note_task(id);
    let command = Command::RecordFailures {
        report: report(&worker, body.fence),
        from: body.from,
        rows: body.rows,
    };
    let task = apply(&tasks, worker, id, command).await?;
    let next = task.failure_rows;
    Ok(Answer::new(&context, RecordedAnswer { next }))
}
