//! The store as the clients of a stand-in see it: a task that is looked at has
//! come as far as it should have, and a look can be a poll.
//!
//! Contract: `stand-in.md`, "Progress".

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::control::target;
use super::exchange;
use super::outcome::Plan;
use super::progress::Progress;
use super::tenant::Tenant;
use super::world::{Life, World};
use super::{Outcome, StandIn};
use crate::task::attempt::History;
use crate::task::claim::{ClaimError, ClaimRequest};
use crate::task::health::{Health, Load};
use crate::task::idempotency::{Idempotency, WINDOW};
use crate::task::import::ImportFailure;
use crate::task::life_cycle::{Command, Step};
use crate::task::list::Page;
use crate::task::repository::{ApplyError, Controls, Created, Gone, StoreError, TaskRepository};
use crate::task::scope::Target;
use crate::task::{Identifier, NewTask, Task, TaskId, TaskStatus, TenantId};

/// How often what goes on by time is looked at, at most.
const ROUND: Duration = Duration::from_millis(20);
/// How long nobody looks if nothing is due.
const IDLE: Duration = Duration::from_secs(60);

impl StandIn {
    /// Has a tenant's tasks take every step that is due.
    pub(super) async fn catch_up(&self, tenant: &Arc<Tenant>, world: &mut World) -> Outcome<()> {
        let now = self.0.now(tenant);
        while let Some((due, id)) = world.next_due()
            && due <= now
        {
            self.go_on(tenant, world, id, due).await?;
        }
        Ok(())
    }

    /// Has a task take its next step, at the moment at which it is due; the task
    /// after it, unless somebody else has moved it on.
    pub(super) async fn go_on(
        &self,
        tenant: &Arc<Tenant>,
        world: &mut World,
        id: TaskId,
        at: Timestamp,
    ) -> Outcome<Option<Task>> {
        let Some(life) = world.remove(id) else {
            return Ok(None);
        };
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
        if let Some(task) = &after {
            self.enter(world, task, life, at);
        }
        Ok(after)
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
    fn changed(&self, task: &Task) {
        let id = ("id", task.id.to_string().into());
        self.0.events.tell("task", &task.tenant_id, Some(id));
    }

    fn enter(&self, world: &mut World, task: &Task, life: Life, at: Timestamp) {
        world.enter(task, life, at);
        world.bound(self.0.settings.max_tasks);
        if world.life(task.id).is_some_and(|life| life.due().is_some()) {
            self.0.timed.notify_one();
        }
    }

    /// Whether tasks are led by rules and by hand alone, and kept where others write
    /// too. One that is not led has no life here, and then nothing waits for its
    /// tenant's other tasks.
    fn leads_none_by_itself(&self) -> bool {
        self.0.settings.progress == Progress::MANUAL && self.0.store.controls().is_none()
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

    /// Creates a task, and plans its life.
    async fn bear(
        &self,
        new: NewTask,
        idempotency: Option<Idempotency>,
    ) -> Result<Created, StoreError> {
        let tenant = self.tenant(&new.tenant_id).await?;
        if self.leads_none_by_itself() && tenant.rules().all().is_empty() {
            let created = self.0.store.create(new, idempotency).await?;
            if let Created::New(id) = created {
                let id = ("id", id.to_string().into());
                self.0.events.tell("task", tenant.id(), Some(id));
            }
            return Ok(created);
        }
        let mut world = tenant.world.lock().await;
        self.catch_up(&tenant, &mut world).await?;
        let parameters = new.parameters.clone();
        let now = self.0.now(&tenant);
        let (created, gone) = match self.0.store.controls() {
            Some(controls) => {
                let mut draw = || world.draw(tenant.node(), now);
                controls.create_as(new, idempotency, &mut draw, first_kept(now))?
            }
            None => (self.0.store.create(new, idempotency).await?, Gone::new()),
        };
        for (of, id) in &gone {
            if of == tenant.id() {
                world.remove(*id);
            }
        }
        self.let_go(gone);
        if let Created::New(id) = created {
            let (rule, outcome) = exchange::outcome(&tenant, &parameters).unzip();
            let plan = Plan::of(&parameters, self.0.settings.progress, outcome);
            let born = self.0.store.find(tenant.id(), id).await?;
            if let Some(task) = born {
                self.changed(&task);
                self.enter(&mut world, &task, Life::new(plan, rule), id.created_at());
            }
            let stepped = tenant.clock().after_create();
            *tenant.clock() = stepped;
            self.catch_up(&tenant, &mut world).await?;
        }
        Ok(created)
    }

    /// Notes that an answer shows this task.
    async fn show(&self, tenant: &Arc<Tenant>, world: &mut World, task: &Task) -> Outcome<()> {
        if world.life(task.id).is_none() && !task.status.has_ended() && task.attempt.is_none() {
            self.adopt(world, task);
        }
        if world.show(task) {
            let now = self.0.now(tenant);
            self.go_on(tenant, world, task.id, now).await?;
        }
        Ok(())
    }

    /// Plans the life of a task that was there before the stand-in.
    fn adopt(&self, world: &mut World, task: &Task) {
        let progress = self.0.settings.progress;
        if progress != Progress::MANUAL && self.0.store.controls().is_none() {
            let plan = Plan::of(&task.parameters, progress, None);
            let since = task.started_at.unwrap_or_else(|| task.id.created_at());
            self.enter(world, task, Life::new(plan, None), since);
        }
    }

    /// A look at one task.
    async fn look<'a, F>(&'a self, tenant_id: &TenantId, find: F) -> Outcome<Option<Task>>
    where
        F: FnOnce(&'a dyn TaskRepository) -> BoxFuture<'a, Outcome<Option<Task>>>,
    {
        let tenant = self.tenant(tenant_id).await?;
        let mut world = tenant.world.lock().await;
        if self.leads_none_by_itself() && world.is_empty() {
            drop(world);
            return find(&*self.0.store).await;
        }
        self.catch_up(&tenant, &mut world).await?;
        let found = find(&*self.0.store).await?;
        if let Some(task) = &found {
            self.show(&tenant, &mut world, task).await?;
        }
        Ok(found)
    }

    async fn look_at_page(&self, tenant_id: &TenantId, page: Page) -> Outcome<Vec<Task>> {
        let tenant = self.tenant(tenant_id).await?;
        let mut world = tenant.world.lock().await;
        if self.leads_none_by_itself() && world.is_empty() {
            drop(world);
            return self.0.store.list(tenant_id, page).await;
        }
        self.catch_up(&tenant, &mut world).await?;
        let found = self.0.store.list(tenant_id, page).await?;
        // The last one tells only that there are more.
        let shown = usize::from(page.limit).saturating_sub(1).max(1);
        for task in found.iter().take(shown) {
            self.show(&tenant, &mut world, task).await?;
        }
        Ok(found)
    }

    /// Has tasks take their steps though nobody looks, for ever.
    pub(super) async fn come_on(&self) {
        loop {
            let timed = self.0.timed.notified();
            let mut next = None;
            for tenant in self.0.tenants.all() {
                let mut world = tenant.world.lock().await;
                if let Err(error) = self.catch_up(&tenant, &mut world).await {
                    tracing::warn!(%error, "tasks do not come on");
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
            tokio::time::sleep(ROUND).await;
            tokio::select! {
                () = timed => {}
                () = tokio::time::sleep(next.unwrap_or(IDLE)) => {}
            }
        }
    }
}

/// The first id whose key has not expired.
pub(super) fn first_kept(now: Timestamp) -> TaskId {
    TaskId::first_at(now.checked_sub(WINDOW).unwrap_or(Timestamp::MIN))
}

impl TaskRepository for StandIn {
    fn create(
        &self,
        task: NewTask,
        idempotency: Option<Idempotency>,
    ) -> BoxFuture<'_, Result<Created, StoreError>> {
        self.bear(task, idempotency).boxed()
    }

    fn find<'a>(
        &'a self,
        tenant_id: &'a TenantId,
        id: TaskId,
    ) -> BoxFuture<'a, Result<Option<Task>, StoreError>> {
        self.look(tenant_id, move |store| store.find(tenant_id, id))
            .boxed()
    }

    fn list<'a>(
        &'a self,
        tenant_id: &'a TenantId,
        page: Page,
    ) -> BoxFuture<'a, Result<Vec<Task>, StoreError>> {
        self.look_at_page(tenant_id, page).boxed()
    }

    fn newest_transfer<'a>(
        &'a self,
        tenant_id: &'a TenantId,
        src_user_id: &'a Identifier,
    ) -> BoxFuture<'a, Result<Option<Task>, StoreError>> {
        self.0.store.newest_transfer(tenant_id, src_user_id)
    }

    fn newest_import<'a>(
        &'a self,
        tenant_id: &'a TenantId,
        user_id: &'a Identifier,
    ) -> BoxFuture<'a, Result<Option<Task>, StoreError>> {
        self.look(tenant_id, move |store| {
            store.newest_import(tenant_id, user_id)
        })
        .boxed()
    }

    fn failures<'a>(
        &'a self,
        task: &'a Task,
        from: u64,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<ImportFailure>, StoreError>> {
        async move {
            let tenant = self.tenant(&task.tenant_id).await?;
            let rows = {
                let world = tenant.world.lock().await;
                let life = world.life(task.id).filter(|_| task.status.has_ended());
                let result = life.and_then(|life| life.plan.result.as_ref());
                result.map(|result| result.rows(from, limit))
            };
            match rows {
                Some(rows) => Ok(rows),
                None => self.0.store.failures(task, from, limit).await,
            }
        }
        .boxed()
    }

    fn history<'a>(&'a self, task: &'a Task) -> BoxFuture<'a, Result<History, StoreError>> {
        self.0.store.history(task)
    }

    fn apply(&self, target: Target, command: Command) -> BoxFuture<'_, Result<Task, ApplyError>> {
        async move {
            let task = self.0.store.apply(target, command).await?;
            self.changed(&task);
            Ok(task)
        }
        .boxed()
    }

    fn claim(&self, request: ClaimRequest) -> BoxFuture<'_, Result<Vec<Task>, ClaimError>> {
        async move {
            let tasks = self.0.store.claim(request).await?;
            for task in &tasks {
                self.changed(task);
            }
            Ok(tasks)
        }
        .boxed()
    }

    fn drain(&self) {
        self.0.store.drain();
    }

    fn controls(&self) -> Option<&dyn Controls> {
        self.0.store.controls()
    }

    fn health(&self) -> Health {
        self.0.store.health()
    }

    fn load(&self) -> Load {
        self.0.store.load()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.0.store.close()
    }
}
