//! How tasks come on: by their plans, each step at the moment at which it is due.
//!
//! Contract: `stand-in.md`, "Progress".

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::control::target;
use super::exchange;
use super::outcome::Plan;
use super::tenant::Tenant;
use super::world::{Life, World};
use super::{Outcome, StandIn};
use crate::task::life_cycle::{Command, Step};
use crate::task::repository::{ApplyError, Created, Gone};
use crate::task::{NewTask, Task, TaskId, TaskStatus};

/// How often what goes on by time is looked at, at most.
const ROUND: Duration = Duration::from_millis(20);
/// How long nobody looks after the store has failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// How long nobody looks if nothing is due.
const IDLE: Duration = Duration::from_secs(60);
/// The most tasks that take a step at once.
const MOST_AT_ONCE: usize = 256;

impl StandIn {
    /// Has a tenant's tasks take every step that is due, each at the moment at which
    /// it is.
    pub(super) async fn catch_up(&self, tenant: &Arc<Tenant>, world: &mut World) -> Outcome<()> {
        let now = self.0.now(tenant);
        loop {
            let due = world.due(now, MOST_AT_ONCE);
            if due.is_empty() {
                return Ok(());
            }
            // The store writes in one go what comes at once.
            let steps = due
                .iter()
                .map(|(at, id, life)| self.go_on(tenant, *id, life, *at));
            let after = join_all(steps).await;
            let mut failed = None;
            for ((at, id, life), after) in due.into_iter().zip(after) {
                match after {
                    Ok(after) => self.follow(world, id, life, at, after),
                    Err(error) => failed = Some(error),
                }
            }
            // What failed is still due.
            failed.map_or(Ok(()), Err)?;
        }
    }

    /// Has a task take its next step; the task after it, unless somebody else has
    /// moved it on.
    pub(super) async fn go_on(
        &self,
        tenant: &Arc<Tenant>,
        id: TaskId,
        life: &Life,
        at: Timestamp,
    ) -> Outcome<Option<Task>> {
        let found = self.0.store.find(tenant.id(), id).await?;
        let status = found.map(|task| task.status);
        let steps = match status {
            Some(TaskStatus::New | TaskStatus::Waiting) => vec![Step::Start],
            Some(TaskStatus::Executing) => {
                let counts = life.plan.counts().into_iter();
                counts.chain([life.plan.end]).collect()
            }
            _ => Vec::new(),
        };
        let mut after = None;
        for step in steps {
            match self.step(tenant, id, step, at).await {
                Ok(task) => after = Some(task),
                // A worker, or another call, was there first.
                Err(ApplyError::NoTask | ApplyError::Refused(_)) => return Ok(None),
                Err(ApplyError::Store(error)) => return Err(error),
            }
        }
        Ok(after)
    }

    /// Plans what follows a step.
    pub(super) fn follow(
        &self,
        world: &mut World,
        id: TaskId,
        life: Life,
        at: Timestamp,
        after: Option<Task>,
    ) {
        match after {
            Some(task) => {
                world.enter(&task, life, at);
                self.planned(world, id);
            }
            None => {
                world.remove(id);
            }
        }
    }

    /// One step of a task.
    pub(super) async fn step(
        &self,
        tenant: &Arc<Tenant>,
        id: TaskId,
        step: Step,
        at: Timestamp,
    ) -> Result<Task, ApplyError> {
        let command = Command::StepAt(step, at);
        let task = self.0.store.apply(target(tenant, id), command).await?;
        self.changed(&task);
        Ok(task)
    }

    /// Tells that a task changed.
    pub(super) fn changed(&self, task: &Task) {
        let id = ("id", task.id.to_string().into());
        self.0.events.tell("task", &task.tenant_id, Some(id));
    }

    /// A life has been planned.
    pub(super) fn planned(&self, world: &mut World, id: TaskId) {
        world.bound(self.0.settings.max_tasks);
        if world.life(id).is_some_and(|life| life.due().is_some()) {
            self.0.timed.notify_one();
        }
    }

    /// Forgets the lives of tasks that are gone.
    pub(super) fn let_go(&self, gone: Gone) {
        for (tenant_id, id) in gone {
            let tenant = self.0.tenants.find(&tenant_id);
            // One that is looked at now drops the life when it is due.
            if let Some(tenant) = tenant
                && let Ok(mut world) = tenant.world.try_lock()
            {
                world.remove(id);
            }
        }
    }

    /// Plans the life of a task, if it was created just now.
    pub(super) async fn plan(
        &self,
        tenant: &Arc<Tenant>,
        world: &mut World,
        new: NewTask,
        created: Created,
    ) -> Outcome<()> {
        let Created::New(id) = created else {
            return Ok(());
        };
        let (rule, outcome) = exchange::outcome(tenant, &new.parameters).unzip();
        let plan = Plan::of(&new.parameters, self.0.settings.progress, outcome);
        let task = Task::new(id, new);
        self.changed(&task);
        world.begin(&task, Life::new(plan, rule), id.created_at());
        self.planned(world, id);
        let stepped = tenant.clock().after_create();
        *tenant.clock() = stepped;
        self.catch_up(tenant, world).await
    }

    /// Has tasks take their steps though nobody looks, for ever.
    pub(super) async fn come_on(&self) {
        loop {
            let timed = self.0.timed.notified();
            let mut next = None;
            let mut pause = ROUND;
            for tenant in self.0.tenants.all() {
                let mut world = tenant.world.lock().await;
                if let Err(error) = self.catch_up(&tenant, &mut world).await {
                    tracing::warn!(%error, "tasks do not come on");
                    pause = AFTER_FAILURE;
                }
                let clock = *tenant.clock();
                if let Some((due, _)) = world.next_due()
                    && !clock.is_frozen()
                {
                    let left = due.duration_since(clock.now(self.0.wall.now()));
                    let left = Duration::try_from(left).unwrap_or_default();
                    next = Some(next.map_or(left, |next: Duration| next.min(left)));
                }
            }
            tokio::time::sleep(pause).await;
            tokio::select! {
                () = timed => {}
                () = tokio::time::sleep(next.unwrap_or(IDLE)) => {}
            }
        }
    }
}
