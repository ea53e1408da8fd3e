//! Tasks that are led by hand.

use std::sync::Arc;

use http::StatusCode;

use super::StandIn;
use super::answer::Refused;
use super::seed::Status;
use super::tenant::Tenant;
use super::world::Life;
use crate::task::life_cycle::Step;
use crate::task::repository::ApplyError;
use crate::task::{ResultCode, Task, TaskId, TaskStatus};

/// KooDrive's published code.
pub(super) const USUAL_CODE: &str = "18000205";

/// Where a task shall be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Goal {
    /// The status.
    pub(super) status: Status,
    /// Why it fails; [`USUAL_CODE`] if nothing is said.
    pub(super) code: Option<ResultCode>,
}

impl StandIn {
    /// Leads a tenant's task on, never back; the task after it with what is ahead,
    /// or `None` if the tenant has no such task.
    pub(super) async fn lead(
        &self,
        tenant: &Arc<Tenant>,
        id: TaskId,
        goal: Goal,
    ) -> Result<Option<(Task, Option<Life>)>, Refused> {
        let mut world = tenant.world.lock().await;
        self.catch_up(tenant, &mut world).await?;
        let Some(task) = self.0.store.find(tenant.id(), id).await? else {
            return Ok(None);
        };
        let life = world.life(id).cloned();
        let steps = steps(&task, goal, life.as_ref())?;
        let now = self.0.now(tenant);
        let mut after = task;
        for step in steps {
            after = match self.step(tenant, id, step, now).await {
                Ok(after) => after,
                Err(ApplyError::Store(error)) => return Err(error.into()),
                Err(error) => return Err(Refused::new(StatusCode::CONFLICT, error.to_string())),
            };
        }
        if let Some(life) = life {
            world.enter(&after, life, now);
            self.0.timed.notify_one();
        }
        let life = world.life(id).cloned();
        Ok(Some((after, life)))
    }
}

/// The steps from where a task is to where it shall be.
fn steps(task: &Task, goal: Goal, life: Option<&Life>) -> Result<Vec<Step>, Refused> {
    let end = match (goal.status, goal.code) {
        (Status::Failed, code) => {
            let usual = || USUAL_CODE.parse().ok();
            code.or_else(usual).map(Step::Fail)
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
            let (from, to) = (Status::from(status).name(), goal.status.name());
            let text = format!("a task that is {from} does not become {to}");
            return Err(Refused::new(StatusCode::CONFLICT, text));
        }
    };
    let counts = life.and_then(|life| life.plan.counts());
    let counts = counts.filter(|_| end.is_some());
    Ok(start.into_iter().chain(counts).chain(end).collect())
}
