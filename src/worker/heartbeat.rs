//! `POST /kootask/v1/worker/heartbeat`: a worker is still at its tasks.

use std::borrow::Cow;

use axum::extract::State;
use futures_util::future::try_join_all;
use serde::Serialize;
use serde_json::json;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::body::{Body, Valid, and_counts, counts, fence, with_fence};
use super::report::report;
use crate::auth::WorkerCaller;
use crate::task::attempt::Fence;
use crate::task::import::ImportCounts;
use crate::task::life_cycle::Command;
use crate::task::repository::{ApplyError, StoreError};
use crate::task::scope::Target;
use crate::task::{TaskId, TaskService};
use crate::web::answer::Answer;
use crate::web::call::{Access, Call, schema};
use crate::web::context::Context;
use crate::web::error::{ApiError, Reason, Violations};
use crate::web::json::Object;
use crate::wire::examples;

/// The path of the heartbeat call.
pub const PATH: &str = "/kootask/v1/worker/heartbeat";

/// The most tasks of a heartbeat.
const MAX_TASKS: usize = 1000;
/// As many fit with every number at its longest.
const BODY_LIMIT: usize = 512 * 1024;

pub(super) fn call() -> Call<TaskService> {
    let request = json!({"tasks": [{"taskId": examples::TASK_ID, "fence": 1}]});
    let answer = json!({
        "tasks": [{"taskId": examples::TASK_ID, "state": "held"}],
        "code": 0,
        "msg": examples::SUCCESS,
    });
    Call::post(Access::Worker, PATH, heartbeat)
        .named(
            "heartbeat",
            "Keep tasks",
            "Each task that is answered with `held` or `cancel` is the worker's for \
             `leaseSeconds` more, from the sending of this request. `cancel`: the tenant wants \
             it stopped. `lost`: it is the worker's no longer; stop at once.",
        )
        .body::<HeartbeatBody>([("heartbeat", request)])
        .body_limit(BODY_LIMIT)
        .answer::<HeartbeatAnswer>("The state of each task, in the order given.", answer)
}

/// The tasks that the worker is at.
struct HeartbeatBody(Vec<Beat>);

/// One of them.
struct Beat {
    id: TaskId,
    fence: Fence,
    counts: Option<ImportCounts>,
}

impl Body for HeartbeatBody {
    fn read(fields: &Object<'_>, wrong: &mut Violations) -> Option<Self> {
        fields
            .objects("tasks", 1..=MAX_TASKS, Beat::read)
            .map(Self)
            .map_err(|violations| wrong.extend(violations))
            .ok()
    }
}

impl Beat {
    fn read(fields: &Object<'_>, wrong: &mut Violations) -> Option<Self> {
        let id = wrong.keep(fields.identifier("taskId", Reason::NotATaskId));
        let fence = fence(fields, wrong);
        let counts = counts(fields, wrong);
        Some(Self {
            id: id?,
            fence: fence?,
            counts: counts?,
        })
    }
}

impl ToSchema for HeartbeatBody {
    fn name() -> Cow<'static, str> {
        "HeartbeatRequest".into()
    }
}

impl PartialSchema for HeartbeatBody {
    fn schema() -> RefOr<Schema> {
        let task = and_counts(with_fence().property("taskId", schema::of::<TaskId>()));
        let tasks = ArrayBuilder::new()
            .items(task.required("taskId"))
            .min_items(Some(1))
            .max_items(Some(MAX_TASKS));
        ObjectBuilder::new()
            .property("tasks", tasks)
            .required("tasks")
            .into()
    }
}

/// What became of the tasks.
#[derive(Debug, Serialize, ToSchema)]
struct HeartbeatAnswer {
    #[schema(max_items = 1000)]
    tasks: Vec<HeldTask>,
}

/// A task of a heartbeat.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct HeldTask {
    #[schema(value_type = TaskId)]
    task_id: String,
    state: HeldState,
}

/// Whether a task is still the worker's.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum HeldState {
    Held,
    Cancel,
    Lost,
}

async fn heartbeat(
    State(tasks): State<TaskService>,
    Context(context): Context,
    worker: WorkerCaller,
    Valid(HeartbeatBody(beats)): Valid<HeartbeatBody>,
) -> Result<Answer<HeartbeatAnswer>, ApiError> {
    // Side by side, so that they share a commit.
    let beats = beats.into_iter().map(|beat| keep(&tasks, &worker, beat));
    let tasks = try_join_all(beats).await?;
    Ok(Answer::new(&context, HeartbeatAnswer { tasks }))
}

async fn keep(
    tasks: &TaskService,
    worker: &WorkerCaller,
    beat: Beat,
) -> Result<HeldTask, StoreError> {
    let target = Target {
        id: beat.id,
        scope: worker.scope.clone(),
    };
    let command = Command::Heartbeat {
        report: report(worker, beat.fence),
        counts: beat.counts,
        timeout: tasks.attempts().attempt_timeout,
    };
    let state = match tasks.apply(target, command).await {
        Ok(task) if task.cancel_requested => HeldState::Cancel,
        Ok(_) => HeldState::Held,
        Err(ApplyError::NoTask | ApplyError::Refused(_)) => HeldState::Lost,
        Err(ApplyError::Store(error)) => return Err(error),
    };
    Ok(HeldTask {
        task_id: beat.id.to_string(),
        state,
    })
}
