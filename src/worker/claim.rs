//! `POST /kootask/v1/worker/claim`: gives a worker tasks to do.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use serde::Serialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use super::body::{Body, Valid};
use crate::auth::WorkerCaller;
use crate::task::attempt::{Claim, GRACE};
use crate::task::claim::{ClaimError, ClaimRequest};
use crate::task::scope::Scope;
use crate::task::{Identifier, Task, TaskId, TaskService, TaskType};
use crate::web::answer::Answer;
use crate::web::call::{Access, Call, schema};
use crate::web::context::Context;
use crate::web::error::{ApiError, Reason, Violation, Violations};
use crate::web::json::Object;
use crate::wire::{Parameters, TaskTypeNumber, examples};

/// The path of the claim call.
pub const PATH: &str = "/kootask/v1/worker/claim";

const MAX_TASKS: i64 = 100;
const LEASE_SECONDS: std::ops::RangeInclusive<i64> = 10..=3600;
const USUAL_LEASE_SECONDS: i64 = 60;
const MAX_WAIT_SECONDS: i64 = 30;
/// The most entries of `taskTypes`.
const MAX_TYPES: usize = 16;

pub(super) fn call() -> Call<TaskService> {
    let request = json!({
        "worker": "w1",
        "claimId": "0b7e4f0e-6a57-4ac5-9a5c-2f0a0a8a4a4e",
        "taskTypes": [0],
        "max": 10,
        "leaseSeconds": 60,
        "waitSeconds": 0,
    });
    let task = json!({
        "taskId": examples::TASK_ID,
        "tenantId": examples::TENANT_ID,
        "userId": examples::USER_ID,
        "taskType": 0,
        "parameters": {
            "srcUserId": examples::SRC_USER_ID,
            "dstUserId": examples::DST_USER_ID,
        },
        "locale": "en-US",
        "attempt": 1,
        "fence": 1,
        "leaseSeconds": 60,
    });
    let answer = json!({"tasks": [task], "code": 0, "msg": examples::SUCCESS});
    Call::post(Access::Worker, PATH, claim)
        .named(
            "claimTasks",
            "Claim tasks",
            "Starts tasks that are due, oldest first and fair among tenants; none is no error. \
             The same `claimId` again gets the same tasks as long as they are held, so that an \
             answer that was lost strands nothing. Stop working on a task at the time of sending \
             plus `leaseSeconds`, unless a heartbeat was answered meanwhile.",
        )
        .body::<ClaimBody>([("claim", request)])
        .answer::<ClaimAnswer>("The tasks, at most `max`.", answer)
        .error(ApiError::TooManyLeases)
}

/// What a worker wants.
struct ClaimBody {
    worker: Identifier,
    claim_id: Uuid,
    /// Any if `None`.
    task_types: Option<Vec<TaskType>>,
    max: u16,
    lease: Duration,
    wait: Duration,
}

impl Body for ClaimBody {
    fn read(fields: &Object<'_>, wrong: &mut Violations) -> Option<Self> {
        let worker = wrong.keep(fields.identifier("worker", Reason::NotAnIdentifier));
        let claim_id = wrong.keep(fields.identifier("claimId", Reason::NotAUuid));
        let task_types = wrong.keep(task_types(fields));
        let max = wrong.keep(fields.integer_within("max", 1..=MAX_TASKS));
        let lease = wrong.keep(fields.integer_within("leaseSeconds", LEASE_SECONDS));
        let wait = wrong.keep(fields.integer_within("waitSeconds", 0..=MAX_WAIT_SECONDS));
        Some(Self {
            worker: worker?,
            claim_id: claim_id?,
            task_types: task_types?,
            max: u16::try_from(max?.unwrap_or(1)).ok()?,
            lease: seconds(lease?.unwrap_or(USUAL_LEASE_SECONDS)),
            wait: seconds(wait?.unwrap_or(0)),
        })
    }
}

const fn seconds(number: i64) -> Duration {
    Duration::from_secs(number.unsigned_abs())
}

fn task_types(fields: &Object<'_>) -> Result<Option<Vec<TaskType>>, Violation> {
    let Some(numbers) = fields.integers("taskTypes", 1..=MAX_TYPES)? else {
        return Ok(None);
    };
    let types = numbers.into_iter().map(TaskTypeNumber::task_type);
    types
        .collect::<Option<_>>()
        .map(Some)
        .ok_or(Violation::new("taskTypes", Reason::UnknownTaskType))
}

impl ToSchema for ClaimBody {
    fn name() -> Cow<'static, str> {
        "ClaimRequest".into()
    }
}

impl PartialSchema for ClaimBody {
    fn schema() -> RefOr<Schema> {
        let claim_id = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::Custom("uuid".into())))
            .description(Some("Made anew for each claim, kept when it is repeated."));
        let task_types = ArrayBuilder::new()
            .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
            .items(schema::of::<TaskTypeNumber>())
            .min_items(Some(1))
            .max_items(Some(MAX_TYPES))
            .description(Some("Only tasks of these types; absent: of any."));
        let number = |range: std::ops::RangeInclusive<i64>, usual: i64| {
            schema::or_null(schema::integer(), Type::Integer)
                .minimum(Some(*range.start()))
                .maximum(Some(*range.end()))
                .default(Some(json!(usual)))
        };
        ObjectBuilder::new()
            .property(
                "worker",
                schema::described::<Identifier>("What the worker calls itself."),
            )
            .property("claimId", claim_id)
            .property("taskTypes", task_types)
            .property("max", number(1..=MAX_TASKS, 1))
            .property("leaseSeconds", number(LEASE_SECONDS, USUAL_LEASE_SECONDS))
            .property("waitSeconds", number(0..=MAX_WAIT_SECONDS, 0))
            .required("worker")
            .required("claimId")
            .into()
    }
}

/// What the worker gets.
#[derive(Debug, Serialize, ToSchema)]
struct ClaimAnswer {
    #[schema(max_items = 100)]
    tasks: Vec<ClaimedTask>,
}

/// A task to do.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ClaimedTask {
    #[schema(value_type = TaskId)]
    task_id: String,
    #[schema(value_type = Identifier)]
    tenant_id: String,
    /// The user who asked for it.
    #[schema(value_type = Identifier)]
    user_id: String,
    task_type: TaskTypeNumber,
    /// What the task was created with.
    #[schema(value_type = Parameters<'_>)]
    parameters: Box<RawValue>,
    /// The language that the task was created in, a BCP 47 tag.
    locale: String,
    /// Which of the attempts that count it is, from 1.
    #[schema(minimum = 1, format = Int64)]
    attempt: u32,
    /// To be given with every report.
    #[schema(minimum = 1, format = Int64)]
    fence: u32,
    /// For how long from the sending of the claim the task is the worker's.
    #[schema(minimum = 1)]
    lease_seconds: u64,
}

impl ClaimedTask {
    fn of(task: Task) -> Result<Self, ApiError> {
        let parameters = Parameters::of(&task.parameters);
        let lease = task.attempt.map(|attempt| attempt.claim.lease);
        Ok(Self {
            task_id: task.id.to_string(),
            tenant_id: task.tenant_id.as_str().to_owned(),
            user_id: task.user_id.to_string(),
            task_type: task.parameters.task_type().into(),
            parameters: to_raw_value(&parameters).map_err(ApiError::internal)?,
            locale: task.locale,
            attempt: task.attempts_counted,
            fence: task.fence.get(),
            lease_seconds: lease.unwrap_or_default().as_secs(),
        })
    }
}

async fn claim(
    State(tasks): State<TaskService>,
    Context(context): Context,
    worker: WorkerCaller,
    Valid(body): Valid<ClaimBody>,
) -> Result<Answer<ClaimAnswer>, ApiError> {
    // No attempt outlives its timeout, so nothing longer is promised.
    let longest = tasks.attempts().attempt_timeout.saturating_sub(GRACE);
    let request = ClaimRequest {
        scope: scope(worker.scope, body.task_types.as_deref())?,
        claim: Claim {
            claim_id: body.claim_id,
            worker: body.worker,
            holder: worker.name,
            lease: body.lease.min(longest),
        },
        max: body.max,
        wait: body.wait,
    };
    context.allow(body.wait);
    // Whoever hangs up takes nothing.
    if let Some(peer) = context.peer() {
        peer.end.gives_up_request();
    }
    let claimed = tasks.claim(request).await?;
    let claimed = claimed.into_iter().map(ClaimedTask::of);
    let tasks = claimed.collect::<Result<_, _>>()?;
    Ok(Answer::new(&context, ClaimAnswer { tasks }))
}

/// The part of a credential's scope with these types, or all of it.
fn scope(of_credential: Scope, wanted: Option<&[TaskType]>) -> Result<Scope, ApiError> {
    let types = of_credential.task_types.iter().copied();
    let is_wanted = |kind: &TaskType| wanted.is_none_or(|wanted| wanted.contains(kind));
    let task_types: Arc<[TaskType]> = types.filter(is_wanted).collect();
    if task_types.is_empty() {
        return Err(Violation::new("taskTypes", Reason::ForeignTaskTypes).into());
    }
    Ok(Scope {
        tenants: of_credential.tenants,
        task_types,
    })
}

impl From<ClaimError> for ApiError {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::TooManyLeases => Self::TooManyLeases,
            ClaimError::Store(error) => error.into(),
        }
    }
}
