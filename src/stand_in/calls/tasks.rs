//! `tasks`: added in any state, read without being a poll, and led by hand.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use http::{Request, StatusCode};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;

use super::super::StandIn;
use super::super::answer::{self, Answer, Refused};
use super::super::choice::{Choice, statuses};
use super::super::leading::Goal;
use super::super::progress::Wait;
use super::super::seed::{Status, TaskForm};
use super::super::tenant::Tenant;
use super::super::text::Text;
use super::super::world::{Life, World};
use crate::task::{ResultCode, Task, TaskId};
use crate::web::context::Context;

/// The most tasks of a list.
const PAGE: usize = 100;
/// The longest wait for a status.
const LONGEST: SignedDuration = SignedDuration::from_secs(60);
/// How often a status that is waited for is looked at.
const ROUND: Duration = Duration::from_millis(10);

/// A task and what is ahead of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TaskView {
    tenant: String,
    #[serde(flatten)]
    task: TaskForm,
    created_at: String,
    /// How often it was started.
    starts: u32,
    /// What ends its present status.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
}

/// What ends a status.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Next {
    /// As in `progress`.
    after: Text<Wait>,
    /// The answers that have shown the status.
    polls: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
}

impl TaskView {
    fn of(task: &Task, life: Option<&Life>) -> Self {
        let ahead = life.filter(|_| !task.status.has_ended());
        Self {
            tenant: task.tenant_id.as_str().to_owned(),
            task: TaskForm::of(task, life),
            created_at: task.id.created_at().to_string(),
            starts: task.fence.get(),
            next: ahead.map(|life| Next {
                after: Text(life.wait(task.status)),
                polls: life.polls,
                at: life.due().map(|due| due.to_string()),
            }),
            rule: life.and_then(|life| life.rule.clone()),
        }
    }
}

/// `POST tasks`: adds some, in any state.
pub(super) async fn add(State(stand_in): State<StandIn>, request: Request<Body>) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Form {
        tasks: Vec<TaskForm>,
    }
    let (parts, body) = request.into_parts();
    let form: Form = answer::body(Request::from_parts(parts.clone(), body)).await?;
    stand_in.0.controls()?;
    let mut added = Vec::new();
    for tenant in stand_in.meant(&parts).await? {
        let mut world = tenant.world.lock().await;
        stand_in.catch_up(&tenant, &mut world).await?;
        let tasks = stand_in.fill(&tenant, &mut world, &form.tasks)?;
        tasks.iter().for_each(|task| stand_in.changed(task));
        added.extend(views(&tasks, &world));
    }
    Ok(answer::json(&json!({ "tasks": added })))
}

fn views(tasks: &[Task], world: &World) -> Vec<serde_json::Value> {
    let view = |task: &Task| TaskView::of(task, world.life(task.id));
    let views = tasks.iter().map(view).map(serde_json::to_value);
    views.filter_map(Result::ok).collect()
}

/// `GET tasks?status=&type=&q=`: the newest first, at most 100; `before` is the
/// last id of the page before.
pub(super) async fn list(State(stand_in): State<StandIn>, request: Request<Body>) -> Answer {
    let (parts, _) = request.into_parts();
    let choice = Choice::of(&parts)?;
    let mut shown = Vec::new();
    for tenant in stand_in.meant(&parts).await? {
        let mut world = tenant.world.lock().await;
        stand_in.catch_up(&tenant, &mut world).await?;
        let tasks = choice.tasks(&stand_in, &tenant, PAGE).await?;
        shown.extend(views(&tasks, &world));
    }
    Ok(answer::json(&json!({ "tasks": shown })))
}

/// `GET tasks/{id}?until=SUCCESS,FAILED&within=5s`: reads, and waits.
pub(super) async fn one(
    State(stand_in): State<StandIn>,
    Context(context): Context,
    request: Request<Body>,
) -> Answer {
    let (parts, _) = request.into_parts();
    let id = id(&super::in_path(&parts, ""))?;
    let until = statuses(&parts, "until")?;
    let within: Option<SignedDuration> = answer::parsed(&parts, "within")?;
    let within = within.unwrap_or(SignedDuration::from_secs(5));
    if !(SignedDuration::ZERO..=LONGEST).contains(&within) {
        return Err(Refused::bad("within must be from 0s to 60s"));
    }
    let within = Duration::try_from(within).unwrap_or_default();
    context.allow(within);
    let give_up = Instant::now().checked_add(within);
    let tenants = stand_in.meant(&parts).await?;
    loop {
        let (task, view) = find(&stand_in, &tenants, id).await?;
        let has_come = until.is_empty() || until.contains(&task.status);
        if has_come {
            return Ok(answer::json(&view));
        }
        let is_over = give_up.is_none_or(|give_up| Instant::now() >= give_up);
        if is_over || stand_in.0.stop.is_cancelled() {
            let status = Status::from(task.status).name();
            let text = format!("the task is still {status}");
            return Err(Refused::new(StatusCode::CONFLICT, text));
        }
        tokio::time::sleep(ROUND).await;
    }
}

async fn find(
    stand_in: &StandIn,
    tenants: &[Arc<Tenant>],
    id: TaskId,
) -> Result<(Task, TaskView), Refused> {
    for tenant in tenants {
        let mut world = tenant.world.lock().await;
        stand_in.catch_up(tenant, &mut world).await?;
        if let Some(task) = stand_in.0.store.find(tenant.id(), id).await? {
            let view = TaskView::of(&task, world.life(id));
            return Ok((task, view));
        }
    }
    Err(Refused::not_found("task"))
}

fn id(text: &str) -> Result<TaskId, Refused> {
    text.parse()
        .map_err(|error| Refused::bad(format!("id: {error}")))
}

/// Where a task shall be.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StepForm {
    to: Status,
    result_code: Option<Text<ResultCode>>,
}

/// `POST tasks/{id}/step`: leads a task on, never back.
pub(super) async fn step(State(stand_in): State<StandIn>, request: Request<Body>) -> Answer {
    let (parts, body) = request.into_parts();
    let id = id(&super::in_path(&parts, "/step"))?;
    let form: StepForm = answer::body(Request::from_parts(parts.clone(), body)).await?;
    let goal = Goal {
        status: form.to,
        code: form.result_code.map(|Text(code)| code),
    };
    for tenant in stand_in.meant(&parts).await? {
        if let Some((task, life)) = stand_in.lead(&tenant, id, goal).await? {
            return Ok(answer::json(&TaskView::of(&task, life.as_ref())));
        }
    }
    Err(Refused::not_found("task"))
}
