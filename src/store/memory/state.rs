//! What the memory store holds, and the ways to find it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;
use std::ops::Bound;

use jiff::Timestamp;

use super::tenant::{TenantState, state};
use crate::store::dispatch::{DueRetry, Moved, Storage, ready_from};
use crate::store::nodes::StoredIds;
use crate::task::attempt::History;
use crate::task::idempotency::Idempotency;
use crate::task::import::ImportFailure;
use crate::task::life_cycle::Command;
use crate::task::list::{Order, Page};
use crate::task::repository::{ApplyError, Created};
use crate::task::scope::{Scope, Target, Tenants};
use crate::task::{Identifier, Task, TaskId, TaskStatus, TaskType, TenantId};

/// Everything. Ids are a tenant's own: those of a stand-in's tenants can be the
/// same.
#[derive(Default)]
pub(super) struct State {
    tenants: HashMap<TenantId, TenantState>,
    /// The most tasks, and all of them in the order in which they go.
    bound: Option<(usize, BTreeSet<Turn>)>,
}

/// When a task goes: those that have ended first, then by age.
type Turn = (bool, TaskId, TenantId);

impl State {
    /// From now on holds at most so many tasks.
    pub(super) fn bound(&mut self, most: usize) {
        let tasks = self.tenants.values().flat_map(|held| held.tasks.values());
        self.bound = Some((most, tasks.map(turn).collect()));
    }

    pub(super) fn forget_keys_before(&mut self, tenant_id: &TenantId, first_kept: TaskId) {
        if let Some(held) = self.tenants.get_mut(tenant_id) {
            held.keys.forget_before(first_kept);
        }
    }

    /// The ids of the tasks, seen from this one.
    pub(super) fn stored_ids(&self, later: TaskId) -> StoredIds {
        let all = || self.tenants.values().map(|held| &held.tasks);
        let last =
            |tasks: &BTreeMap<TaskId, Task>| tasks.range(..later).next_back().map(|(id, _)| *id);
        let newest = |tasks: &BTreeMap<TaskId, Task>| tasks.last_key_value().map(|(id, _)| *id);
        StoredIds {
            last: all().filter_map(last).max(),
            newest: all().filter_map(newest).max(),
            later: all()
                .flat_map(|tasks| tasks.range(later..))
                .map(|(id, _)| id.node())
                .collect(),
        }
    }

    /// What one of the same keys did before; all of them stand for that task now.
    pub(super) fn first_use(
        &mut self,
        tenant_id: &TenantId,
        idempotency: Idempotency,
    ) -> Option<Created> {
        let held = self.tenants.get_mut(tenant_id)?;
        let (id, body) = held.keys.first_use(&idempotency)?;
        let first = Created::of_existing(&idempotency, id, body);
        if matches!(first, Created::Existing(_)) {
            held.keys.remember(id, &idempotency);
        }
        Some(first)
    }

    /// Whether one of the same keys created a task.
    pub(super) fn is_repeated(&self, tenant_id: &TenantId, idempotency: &Idempotency) -> bool {
        let held = self.tenants.get(tenant_id);
        held.is_some_and(|held| held.keys.first_use(idempotency).is_some())
    }

    /// Keeps a task; those that go for it.
    pub(super) fn insert(&mut self, task: Task, idempotency: Option<Idempotency>) -> Vec<Task> {
        let mut gone = Vec::new();
        gone.extend(self.remove(&task.tenant_id, task.id));
        if let Some((_, turns)) = &mut self.bound {
            turns.insert(turn(&task));
        }
        let held = self.tenants.entry(task.tenant_id.clone()).or_default();
        if let Some(idempotency) = idempotency {
            held.keys.remember(task.id, &idempotency);
        }
        held.insert(task);
        while let Some((tenant_id, id)) = self.one_too_many() {
            gone.extend(self.remove(&tenant_id, id));
        }
        gone
    }

    /// The task that goes next, if there are more than may be.
    fn one_too_many(&self) -> Option<(TenantId, TaskId)> {
        let (most, turns) = self.bound.as_ref()?;
        let (_, id, tenant_id) = turns.first().filter(|_| turns.len() > *most)?;
        Some((tenant_id.clone(), *id))
    }

    fn remove(&mut self, tenant_id: &TenantId, id: TaskId) -> Option<Task> {
        let held = self.tenants.get_mut(tenant_id)?;
        let task = held.remove(id)?;
        if held.tasks.is_empty() {
            self.tenants.remove(tenant_id);
        }
        if let Some((_, turns)) = &mut self.bound {
            turns.remove(&turn(&task));
        }
        Some(task)
    }

    /// Removes all of a tenant's tasks; them.
    pub(super) fn forget(&mut self, tenant_id: &TenantId) -> Vec<Task> {
        let held = self.tenants.remove(tenant_id).unwrap_or_default();
        if let Some((_, turns)) = &mut self.bound {
            for task in held.tasks.values() {
                turns.remove(&turn(task));
            }
        }
        held.tasks.into_values().collect()
    }

    pub(super) fn tasks(&self, tenant_id: &TenantId) -> impl Iterator<Item = &Task> {
        let held = self.tenants.get(tenant_id);
        held.into_iter().flat_map(|held| held.tasks.values())
    }

    pub(super) fn counts(&self, tenant_id: &TenantId) -> Vec<(TaskStatus, usize)> {
        let count = |status: TaskStatus| {
            let held = self.tenants.get(tenant_id).into_iter();
            held.flat_map(|held| &held.by_state)
                .filter(|((_, of), _)| *of == status)
                .map(|(_, ids)| ids.len())
                .sum()
        };
        TaskStatus::ALL.map(|status| (status, count(status))).into()
    }

    pub(super) fn find(&self, tenant_id: &TenantId, id: TaskId) -> Option<&Task> {
        self.tenants.get(tenant_id)?.tasks.get(&id)
    }

    pub(super) fn list(&self, tenant_id: &TenantId, page: Page) -> Vec<Task> {
        let Some(held) = self.tenants.get(tenant_id) else {
            return Vec::new();
        };
        let limit = usize::from(page.limit);
        let mut ids: Vec<TaskId> = page
            .filter
            .states()
            .filter_map(|state| held.by_state.get(&state))
            .flat_map(|ids| first_after(ids, page).take(limit))
            .collect();
        ids.sort_unstable();
        if page.order == Order::Descending {
            ids.reverse();
        }
        ids.truncate(limit);
        ids.iter()
            .filter_map(|id| held.tasks.get(id))
            .cloned()
            .collect()
    }

    pub(super) fn newest_transfer(&self, tenant: &TenantId, src: &Identifier) -> Option<&Task> {
        let held = self.tenants.get(tenant)?;
        held.tasks.get(held.newest_transfers.get(src)?)
    }

    pub(super) fn newest_import(&self, tenant: &TenantId, user: &Identifier) -> Option<&Task> {
        let held = self.tenants.get(tenant)?;
        held.tasks.get(held.newest_imports.get(user)?)
    }

    pub(super) fn failures(&self, task: &Task, from: u64, limit: u32) -> Vec<ImportFailure> {
        let held = self.tenants.get(&task.tenant_id);
        let rows = held.and_then(|held| held.failures.get(&task.id));
        let of_attempt = rows.filter(|(fence, _)| *fence == task.fence);
        let (from, limit) = (usize::try_from(from).unwrap_or(usize::MAX), limit as usize);
        of_attempt
            .map(|(_, rows)| rows.iter().skip(from).take(limit).cloned().collect())
            .unwrap_or_default()
    }

    pub(super) fn history(&self, task: &Task) -> History {
        let held = self.tenants.get(&task.tenant_id);
        let history = held.and_then(|held| held.histories.get(&task.id));
        history.cloned().unwrap_or_default()
    }

    /// Whose task a command is for: of several tenants with a task of this id, the first
    /// whose task takes it.
    fn whose(&self, target: &Target, command: &Command, at: Timestamp) -> Option<TenantId> {
        let of = |tenant_id: &TenantId| self.find(tenant_id, target.id).is_some();
        let tenants: Vec<&TenantId> = match &target.scope.tenants {
            Tenants::These(tenants) => tenants.iter().filter(|tenant| of(tenant)).collect(),
            Tenants::All => self.tenants.keys().filter(|tenant| of(tenant)).collect(),
        };
        let takes = |tenant_id: &&&TenantId| {
            let task = self.find(tenant_id, target.id).cloned();
            task.is_some_and(|mut task| task.apply(command, at).is_ok())
        };
        let (first, others) = tenants.split_first()?;
        let chosen = if others.is_empty() {
            None
        } else {
            tenants.iter().find(takes)
        };
        Some((*chosen.unwrap_or(first)).clone())
    }

    pub(super) fn apply(
        &mut self,
        target: &Target,
        command: &Command,
        at: Timestamp,
    ) -> Result<Moved, ApplyError> {
        let tenant_id = self.whose(target, command, at).ok_or(ApplyError::NoTask)?;
        let held = self.tenants.get_mut(&tenant_id);
        let held = held.ok_or(ApplyError::NoTask)?;
        let task = held.tasks.get_mut(&target.id);
        let Some(task) = task.filter(|task| target.scope.covers(task)) else {
            return Err(ApplyError::NoTask);
        };
        let (state_before, turn_before) = (state(task), turn(task));
        let (was, was_ready) = (task.status, ready_from(task));
        let effects = task.apply(command, at)?;
        let (after, lease) = (task.clone(), effects.lease);
        held.ids(state_before).remove(&after.id);
        held.ids(state(&after)).insert(after.id);
        held.keep(after.id, effects);
        if let Some((_, turns)) = &mut self.bound {
            turns.remove(&turn_before);
            turns.insert(turn(&after));
        }
        Ok(Moved::new(was, was_ready, after, lease))
    }

    /// A tenant's tasks in this state, oldest first.
    fn in_state(
        &self,
        (tenant_id, task_type): (&TenantId, TaskType),
        status: TaskStatus,
    ) -> impl Iterator<Item = &Task> {
        let held = self.tenants.get(tenant_id).into_iter();
        held.flat_map(move |held| {
            let ids = held.by_state.get(&(task_type, status)).into_iter();
            ids.flatten().filter_map(|id| held.tasks.get(id))
        })
    }
}

impl Storage for State {
    type Error = Infallible;

    fn fresh(&self, of: (&TenantId, TaskType), most: usize) -> Result<Vec<TaskId>, Infallible> {
        let fresh = self.in_state(of, TaskStatus::New);
        Ok(fresh.map(|task| task.id).take(most).collect())
    }

    fn retries(&self, of: (&TenantId, TaskType), most: usize) -> Result<Vec<DueRetry>, Infallible> {
        let waiting = self.in_state(of, TaskStatus::Waiting);
        let mut retries: Vec<DueRetry> = waiting.filter_map(ready_from).collect();
        retries.sort_unstable();
        retries.truncate(most);
        Ok(retries)
    }

    fn task(&self, tenant_id: &TenantId, id: TaskId) -> Result<Option<Task>, Infallible> {
        Ok(self.find(tenant_id, id).cloned())
    }

    fn apply(
        &mut self,
        id: TaskId,
        scope: &Scope,
        command: &Command,
        at: Timestamp,
    ) -> Result<Result<Moved, ApplyError>, Infallible> {
        let scope = scope.clone();
        Ok(self.apply(&Target { id, scope }, command, at))
    }
}

fn turn(task: &Task) -> Turn {
    (!task.status.has_ended(), task.id, task.tenant_id.clone())
}

/// The ids that the page may hold, in its order.
fn first_after(ids: &BTreeSet<TaskId>, page: Page) -> Box<dyn Iterator<Item = TaskId> + '_> {
    let after = page.after.map_or(Bound::Unbounded, Bound::Excluded);
    match page.order {
        Order::Ascending => Box::new(ids.range((after, Bound::Unbounded)).copied()),
        Order::Descending => Box::new(ids.range((Bound::Unbounded, after)).rev().copied()),
    }
}
