//! `tasks`: added in any state, read without being a poll, and led by hand.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use http::request::Parts;
use http::{Request, StatusCode};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;

use super::super::StandIn;
use super::super::answer::{self, Answer, Refused};
use super::super::progress::Wait;
use super::super::seed::{Status, TaskForm};
use super::super::tenant::Tenant;
use super::super::text::Text;
use super::super::world::{Life, World};
use crate::task::life_cycle::Step;
use crate::task::list::{Filter, Order, Page};
use crate::task::repository::ApplyError;
use crate::task::{ResultCode, Task, TaskId, TaskParameters, TaskStatus, TaskType};
use crate::web::context::Context;

/// The most tasks of a list.
const PAGE: u16 = 100;
/// The longest wait for a status.
const LONGEST: SignedDuration = SignedDuration::from_secs(60);
/// How often a status that is waited for is looked at.
const ROUND: Duration = Duration::from_millis(10);
/// KooDrive's published code.
const USUAL_CODE: &str = "18000205";

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
        let tasks = choice.tasks(&stand_in, &tenant).await?;
        shown.extend(views(&tasks, &world));
    }
    Ok(answer::json(&json!({ "tasks": shown })))
}

/// Which tasks are listed.
struct Choice {
    filter: Filter,
    before: Option<TaskId>,
    text: Option<String>,
}

impl Choice {
    fn of(parts: &Parts) -> Result<Self, Refused> {
        let task_type = match answer::parameter(parts, "type")?.as_deref() {
            None => None,
            Some("0") => Some(TaskType::TransferAndDeletion),
            Some("1") => Some(TaskType::BatchImport),
            Some(_) => return Err(Refused::bad("type must be 0 or 1")),
        };
        let statuses = statuses(parts, "status")?;
        Ok(Self {
            filter: Filter::new(task_type, &statuses),
            before: answer::parsed(parts, "before")?,
            text: answer::parameter(parts, "q")?,
        })
    }

    /// The first of a tenant's tasks that are meant.
    async fn tasks(&self, stand_in: &StandIn, tenant: &Tenant) -> Result<Vec<Task>, Refused> {
        let mut found = Vec::new();
        let mut after = self.before;
        loop {
            let page = Page {
                filter: self.filter,
                order: Order::Descending,
                after,
                limit: PAGE,
            };
            let tasks = stand_in.0.store.list(tenant.id(), page).await?;
            after = tasks.last().map(|task| task.id);
            let is_last = tasks.len() < usize::from(PAGE);
            found.extend(tasks.into_iter().filter(|task| self.is_meant(task)));
            if is_last || found.len() >= usize::from(PAGE) {
                found.truncate(usize::from(PAGE));
                return Ok(found);
            }
        }
    }

    /// Whether the text that is looked for is in one of the task's ids.
    fn is_meant(&self, task: &Task) -> bool {
        let Some(text) = &self.text else {
            return true;
        };
        let has = |id: &crate::task::Identifier| id.as_str().contains(&**text);
        task.id.to_string().contains(&**text)
            || has(&task.user_id)
            || match &task.parameters {
                TaskParameters::Transfer {
                    src_user_id,
                    dst_user_id,
                } => has(src_user_id) || has(dst_user_id),
                TaskParameters::BatchImport {
                    result_id,
                    org_id,
                    org_user_id,
                } => has(result_id) || has(org_id) || has(org_user_id),
            }
    }
}

/// Statuses by their names, separated by commas.
fn statuses(parts: &Parts, name: &str) -> Result<Vec<TaskStatus>, Refused> {
    let text = answer::parameter(parts, name)?.unwrap_or_default();
    let names = text.split(',').filter(|name| !name.is_empty());
    let statuses = names.map(|status| status.parse::<Status>().map(TaskStatus::from));
    statuses
        .collect::<Result<_, _>>()
        .map_err(|error| Refused::bad(format!("{name}: {error}")))
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
    for tenant in stand_in.meant(&parts).await? {
        let mut world = tenant.world.lock().await;
        stand_in.catch_up(&tenant, &mut world).await?;
        if let Some(task) = stand_in.0.store.find(tenant.id(), id).await? {
            return lead(&stand_in, &tenant, &mut world, &task, &form).await;
        }
    }
    Err(Refused::not_found("task"))
}

async fn lead(
    stand_in: &StandIn,
    tenant: &Arc<Tenant>,
    world: &mut World,
    task: &Task,
    form: &StepForm,
) -> Answer {
    let life = world.life(task.id).cloned();
    let steps = steps(task, form, life.as_ref())?;
    let now = stand_in.0.now(tenant);
    let mut after = task.clone();
    for step in steps {
        after = match stand_in.step(tenant, task.id, step, now).await {
            Ok(after) => after,
            Err(ApplyError::Store(error)) => return Err(error.into()),
            Err(error) => return Err(Refused::new(StatusCode::CONFLICT, error.to_string())),
        };
    }
    if let Some(life) = life {
        world.enter(&after, life, now);
        stand_in.0.timed.notify_one();
    }
    Ok(answer::json(&TaskView::of(&after, world.life(task.id))))
}

/// The steps from where a task is to where it shall be.
fn steps(task: &Task, form: &StepForm, life: Option<&Life>) -> Result<Vec<Step>, Refused> {
    let end = match (form.to, form.result_code) {
        (Status::Failed, code) => {
            let usual = || USUAL_CODE.parse().ok();
            let code = code.map(|Text(code)| code).or_else(usual);
            code.map(Step::Fail)
        }
        (_, Some(_)) => return Err(Refused::bad("resultCode is of a task that fails")),
        (Status::Success, None) => Some(Step::Succeed),
        (Status::Executing, None) => None,
        (Status::New | Status::Waiting, None) => {
            let text = "a task is led to EXECUTING, SUCCESS or FAILED";
            return Err(Refused::new(StatusCode::CONFLICT, text));
        }
    };
    let start = match task.status {
        TaskStatus::New | TaskStatus::Waiting => Some(Step::Start),
        TaskStatus::Executing if end.is_some() => None,
        status => {
            let (from, to) = (Status::from(status).name(), form.to.name());
            let text = format!("a task that is {from} does not become {to}");
            return Err(Refused::new(StatusCode::CONFLICT, text));
        }
    };
    let counts = life.and_then(|life| life.plan.counts());
    let counts = counts.filter(|_| end.is_some());
    Ok(start.into_iter().chain(counts).chain(end).collect())
}
