//! The store as the clients of a stand-in see it: a task that is looked at has
//! come as far as it should have, and a look can be a poll.
//!
//! Contract: `stand-in.md`, "Progress".

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::outcome::Plan;
use super::progress::Progress;
use super::tenant::Tenant;
use super::world::{Life, World};
use super::{Outcome, StandIn};
use crate::task::attempt::History;
use crate::task::claim::{ClaimError, ClaimRequest};
use crate::task::health::{Health, Load};
use crate::task::idempotency::{Idempotency, expiry};
use crate::task::import::ImportFailure;
use crate::task::life_cycle::Command;
use crate::task::list::Page;
use crate::task::repository::{ApplyError, Controls, Created, StoreError, TaskRepository};
use crate::task::scope::Target;
use crate::task::{Identifier, NewTask, Task, TaskId, TenantId};

impl StandIn {
    /// Creates a task, and plans its life.
    async fn bear(
        &self,
        new: NewTask,
        idempotency: Option<Idempotency>,
    ) -> Result<Created, StoreError> {
        let tenant = self.tenant(&new.tenant_id).await?;
        let Some(controls) = self.0.store.controls() else {
            let _under_way = tenant.births.read().await;
            let created = self.0.store.create(new.clone(), idempotency).await?;
            let mut world = tenant.world.lock().await;
            self.plan(&tenant, &mut world, new, created).await?;
            return Ok(created);
        };
        let mut world = tenant.world.lock().await;
        // Those that have ended make room first.
        self.catch_up(&tenant, &mut world).await?;
        let now = self.0.now(&tenant);
        let mut draw = || world.draw(tenant.node(), now);
        let (created, gone) =
            controls.create_as(new.clone(), idempotency, &mut draw, first_kept(now))?;
        for (_, id) in gone.iter().filter(|(of, _)| of == tenant.id()) {
            world.remove(*id);
        }
        self.let_go(gone);
        self.plan(&tenant, &mut world, new, created).await?;
        Ok(created)
    }

    /// Notes that an answer shows this task.
    async fn show(&self, tenant: &Arc<Tenant>, world: &mut World, task: &Task) -> Outcome<()> {
        if self.adopts() && world.life(task.id).is_none() {
            self.adopt(world, task);
        }
        if let Some(life) = world.show(task) {
            let now = self.0.now(tenant);
            let after = self.go_on(tenant, task.id, &life, now).await?;
            self.follow(world, task.id, life, now, after);
        }
        Ok(())
    }

    /// Whether tasks that were there before the stand-in come on by themselves.
    fn adopts(&self) -> bool {
        self.0.settings.progress != Progress::MANUAL && self.0.store.controls().is_none()
    }

    /// Plans the life of a task that was there before the stand-in.
    fn adopt(&self, world: &mut World, task: &Task) {
        if task.status.has_ended() || task.attempt.is_some() {
            return;
        }
        let plan = Plan::of(&task.parameters, self.0.settings.progress, None);
        let since = task.started_at.unwrap_or_else(|| task.id.created_at());
        world.begin(task, Life::new(plan, None), since);
        self.planned(world, task.id);
    }

    /// What a client finds, once every step that is due has been taken; the first
    /// tasks of it, so many as the answer shows, are polled.
    async fn look<'a, T>(
        &'a self,
        tenant_id: &TenantId,
        find: impl Fn(&'a dyn TaskRepository) -> BoxFuture<'a, Outcome<T>>,
        tasks: fn(&T) -> &[Task],
        shown: usize,
    ) -> Outcome<T> {
        let tenant = self.tenant(tenant_id).await?;
        // A task that is being created is not one that was there before.
        let _none_is_born = if self.adopts() {
            Some(tenant.births.write().await)
        } else {
            None
        };
        let mut world = tenant.world.lock().await;
        self.catch_up(&tenant, &mut world).await?;
        let moves = world.moves();
        drop(world);
        let mut found = find(&*self.0.store).await?;
        let mut world = tenant.world.lock().await;
        if world.moves() != moves {
            // What was found may have moved on, and moves no more under the lock.
            self.catch_up(&tenant, &mut world).await?;
            found = find(&*self.0.store).await?;
        }
        for task in tasks(&found).iter().take(shown) {
            self.show(&tenant, &mut world, task).await?;
        }
        Ok(found)
    }
}

/// The first id whose key has not expired.
pub(super) fn first_kept(now: Timestamp) -> TaskId {
    TaskId::first_at(expiry(now))
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
        let find = move |store: &'a dyn TaskRepository| store.find(tenant_id, id);
        self.look(tenant_id, find, Option::as_slice, 1).boxed()
    }

    fn list<'a>(
        &'a self,
        tenant_id: &'a TenantId,
        page: Page,
    ) -> BoxFuture<'a, Result<Vec<Task>, StoreError>> {
        let find = move |store: &'a dyn TaskRepository| store.list(tenant_id, page);
        // The last one tells only that there are more.
        let shown = usize::from(page.limit).saturating_sub(1).max(1);
        self.look(tenant_id, find, Vec::as_slice, shown).boxed()
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
        let find = move |store: &'a dyn TaskRepository| store.newest_import(tenant_id, user_id);
        self.look(tenant_id, find, Option::as_slice, 1).boxed()
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
        self.0.stop.cancel();
        self.0.store.drain();
    }

    fn reads_at_a_time(&self) -> usize {
        self.0.store.reads_at_a_time()
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
