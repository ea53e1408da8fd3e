//! To set a tenant up, to take everything back, and to turn its clock.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::{SignedDuration, Timestamp};

use super::clock::TenantClock;
use super::rules::{Rule, Rules};
use super::seed::{StateForm, TaskForm};
use super::tenant::Tenant;
use super::text::Text;
use super::world::World;
use super::{Outcome, Shared, StandIn};
use crate::task::repository::{Controls, StoreError};
use crate::task::scope::{Scope, Target};
use crate::task::{Task, TaskId};

/// Why a control does nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum ControlError {
    /// The store is none that can be controlled.
    #[error("this needs the store memory:; tasks of another store are its own")]
    NeedsMemory,
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Shared {
    /// Where a tenant's clock stands at first.
    pub(super) fn first_clock(&self) -> Option<Timestamp> {
        let of_seed = self.seed.clock.map(|Text(moment)| moment);
        of_seed.or(self.settings.clock)
    }

    /// The rules that a tenant has at first.
    pub(super) fn first_rules(&self) -> Rules {
        let rules = self.settings.rules.iter().chain(&self.seed.rules);
        Rules::of_file(&rules.cloned().collect::<Vec<Rule>>())
    }

    pub(super) fn controls(&self) -> Result<&dyn Controls, ControlError> {
        self.store.controls().ok_or(ControlError::NeedsMemory)
    }
}

impl StandIn {
    /// Adds tasks to a tenant's; nothing where the store takes none.
    pub(super) fn fill(
        &self,
        tenant: &Tenant,
        world: &mut World,
        tasks: &[TaskForm],
    ) -> Outcome<Vec<Task>> {
        let Some(controls) = self.0.store.controls() else {
            return Ok(Vec::new());
        };
        let now = self.0.now(tenant);
        let mut added = Vec::with_capacity(tasks.len());
        let there = controls.tasks(tenant.id())?;
        let mut taken: BTreeSet<TaskId> = there.iter().map(|task| task.id).collect();
        for form in tasks {
            let mut draw = |at| free_id(&taken, tenant.node(), at);
            let id = form.id(now, &mut draw);
            taken.insert(id);
            let (task, life) = form.task(tenant.id(), id, self.0.settings.progress);
            let gone = controls.insert(task.clone())?;
            world.enter(&task, life, now);
            self.let_go(gone);
            added.push(task);
        }
        self.0.timed.notify_one();
        Ok(added)
    }

    /// Everything as at start; the number of the epoch that begins.
    pub(super) async fn reset(&self, tenant: &Arc<Tenant>) -> Result<u64, ControlError> {
        let shared = &self.0;
        let seed = StateForm {
            clock: shared.first_clock().map(Text),
            tasks: shared.seed.tasks.clone(),
            rules: Vec::new(),
        };
        self.import(tenant, &seed).await
    }

    /// Puts this in place of everything.
    pub(super) async fn import(
        &self,
        tenant: &Arc<Tenant>,
        state: &StateForm,
    ) -> Result<u64, ControlError> {
        let shared = &self.0;
        let controls = shared.controls()?;
        let mut world = tenant.world.lock().await;
        let before = shared.resets.fetch_add(1, Ordering::AcqRel);
        let epoch = tenant.begin_epoch(&shared.stop, before.saturating_add(1));
        shared.journal.forget(tenant.id());
        controls.forget(tenant.id())?;
        world.clear();
        *tenant.clock() = TenantClock::new(state.clock.map(|Text(moment)| moment));
        let mut rules = shared.first_rules();
        for rule in &state.rules {
            rules.add(rule.clone());
        }
        *tenant.rules() = rules;
        self.fill(tenant, &mut world, &state.tasks)?;
        shared.events.tell("reset", tenant.id(), None);
        Ok(epoch)
    }

    /// What [`StandIn::import`] takes.
    pub(super) async fn export(&self, tenant: &Arc<Tenant>) -> Result<StateForm, ControlError> {
        let controls = self.0.controls()?;
        let mut world = tenant.world.lock().await;
        self.catch_up(tenant, &mut world).await?;
        let tasks = controls.tasks(tenant.id())?;
        let clock = *tenant.clock();
        let frozen = match clock {
            TenantClock::Frozen(moment) => Some(Text(moment)),
            TenantClock::Ahead(_) => None,
        };
        let form = |task: &Task| TaskForm::of(task, world.life(task.id));
        Ok(StateForm {
            clock: frozen,
            tasks: tasks.iter().map(form).collect(),
            rules: tenant.rules().set_by_calls().cloned().collect(),
        })
    }

    /// Turns the clock.
    pub(super) async fn turn(
        &self,
        tenant: &Arc<Tenant>,
        turn: impl FnOnce(TenantClock, &World) -> TenantClock,
    ) -> Result<(), ControlError> {
        self.0.controls()?;
        let mut world = tenant.world.lock().await;
        self.catch_up(tenant, &mut world).await?;
        let turned = turn(*tenant.clock(), &world);
        *tenant.clock() = turned;
        world.forget_last();
        self.catch_up(tenant, &mut world).await?;
        self.0.events.tell("clock", tenant.id(), None);
        self.0.timed.notify_one();
        Ok(())
    }

    /// Turns the clock until nothing goes on by time any more.
    pub(super) async fn turn_until_idle(&self, tenant: &Arc<Tenant>) -> Result<(), ControlError> {
        self.0.controls()?;
        let mut world = tenant.world.lock().await;
        self.catch_up(tenant, &mut world).await?;
        // A task has a second time at most once its first has come.
        while let Some((due, _)) = world.last_due() {
            let ahead = due.duration_since(self.0.now(tenant));
            let turned = tenant.clock().advanced(ahead.max(SignedDuration::ZERO));
            *tenant.clock() = turned;
            self.catch_up(tenant, &mut world).await?;
        }
        self.0.events.tell("clock", tenant.id(), None);
        Ok(())
    }
}

/// An id of this moment that is free, or else of the next one.
fn free_id(taken: &BTreeSet<TaskId>, node: u16, at: Timestamp) -> TaskId {
    let mut at = at;
    loop {
        let ids = (0..128).map(|sequence| TaskId::of_parts(at, node, sequence));
        let next = at.checked_add(SignedDuration::from_millis(1));
        match (ids.into_iter().find(|id| !taken.contains(id)), next) {
            (Some(id), _) => return id,
            (None, Ok(next)) => at = next,
            (None, Err(_)) => return TaskId::of_parts(at, node, 0),
        }
    }
}

/// A tenant's task.
pub(super) fn target(tenant: &Tenant, id: TaskId) -> Target {
    Target {
        id,
        scope: Scope::tenant(tenant.id().clone()),
    }
}
