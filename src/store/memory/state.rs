//! What the memory store holds, and the ways to find it.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::convert::Infallible;
use std::ops::Bound;

use jiff::Timestamp;

use crate::store::dispatch::{DueRetry, Moved, Storage, ready_from};
use crate::store::nodes::Held;
use crate::task::attempt::{Fence, History};
use crate::task::idempotency::{Digest, Idempotency};
use crate::task::import::ImportFailure;
use crate::task::life_cycle::{Command, Effects};
use crate::task::list::{Order, Page};
use crate::task::repository::{ApplyError, Created};
use crate::task::scope::{Scope, Target};
use crate::task::{Identifier, Task, TaskId, TaskParameters, TaskStatus, TaskType, TenantId};

/// Everything.
#[derive(Default)]
pub(super) struct State {
    tasks: BTreeMap<TaskId, Task>,
    tenants: HashMap<TenantId, TenantIndex>,
    /// The users that a batch import's last attempt could not take.
    failures: HashMap<TaskId, (Fence, Vec<ImportFailure>)>,
    histories: HashMap<TaskId, History>,
    /// What each unexpired key stands for.
    keys: HashMap<Digest, (TaskId, Digest)>,
    /// The keys in the order of their ids, oldest first, to forget them by.
    key_order: VecDeque<(TaskId, Digest)>,
}

/// The ways to a tenant's tasks.
#[derive(Default)]
struct TenantIndex {
    by_state: HashMap<(TaskType, TaskStatus), BTreeSet<TaskId>>,
    newest_transfers: HashMap<Identifier, TaskId>,
    newest_imports: HashMap<Identifier, TaskId>,
}

impl State {
    pub(super) fn forget_keys_before(&mut self, first_kept: TaskId) {
        while let Some((_, key)) = self.key_order.pop_front_if(|(id, _)| *id < first_kept) {
            self.keys.remove(&key);
        }
    }

    /// What is held, seen from this id.
    pub(super) fn held(&self, later: TaskId) -> Held {
        Held {
            last: self.tasks.range(..later).next_back().map(|(id, _)| *id),
            newest: self.tasks.last_key_value().map(|(id, _)| *id),
            later: self.tasks.range(later..).map(|(id, _)| id.node()).collect(),
        }
    }

    /// What one of the same keys did before; all of them stand for that task now.
    pub(super) fn first_use(&mut self, idempotency: Idempotency) -> Option<Created> {
        let known = idempotency.keys().find_map(|key| self.keys.get(&key));
        let (id, body) = *known?;
        let first = Created::of_existing(&idempotency, id, body);
        if matches!(first, Created::Existing(_)) {
            self.remember(id, idempotency);
        }
        Some(first)
    }

    fn remember(&mut self, id: TaskId, idempotency: Idempotency) {
        for key in idempotency.keys() {
            if let Entry::Vacant(vacant) = self.keys.entry(key) {
                vacant.insert((id, idempotency.body));
                self.key_order.push_back((id, key));
            }
        }
    }

    pub(super) fn insert(&mut self, task: Task, idempotency: Option<Idempotency>) {
        if let Some(idempotency) = idempotency {
            self.remember(task.id, idempotency);
        }
        if !self.tenants.contains_key(&task.tenant_id) {
            self.tenants
                .insert(task.tenant_id.clone(), TenantIndex::default());
        }
        if let Some(index) = self.tenants.get_mut(&task.tenant_id) {
            index.ids(state(&task)).insert(task.id);
            // Ids are drawn under the lock, so this one is the newest.
            match &task.parameters {
                TaskParameters::Transfer { src_user_id, .. } => {
                    index.newest_transfers.insert(src_user_id.clone(), task.id);
                }
                TaskParameters::BatchImport { .. } => {
                    index.newest_imports.insert(task.user_id.clone(), task.id);
                }
            }
        }
        self.tasks.insert(task.id, task);
    }

    pub(super) fn find(&self, tenant_id: &TenantId, id: TaskId) -> Option<&Task> {
        self.tasks
            .get(&id)
            .filter(|task| task.tenant_id == *tenant_id)
    }

    pub(super) fn list(&self, tenant_id: &TenantId, page: Page) -> Vec<Task> {
        let Some(index) = self.tenants.get(tenant_id) else {
            return Vec::new();
        };
        let limit = usize::from(page.limit);
        let mut ids: Vec<TaskId> = page
            .filter
            .states()
            .filter_map(|state| index.by_state.get(&state))
            .flat_map(|ids| first_after(ids, page).take(limit))
            .collect();
        ids.sort_unstable();
        if page.order == Order::Descending {
            ids.reverse();
        }
        ids.truncate(limit);
        ids.iter()
            .filter_map(|id| self.tasks.get(id))
            .cloned()
            .collect()
    }

    pub(super) fn newest_transfer(&self, tenant: &TenantId, src: &Identifier) -> Option<&Task> {
        self.tasks
            .get(self.tenants.get(tenant)?.newest_transfers.get(src)?)
    }

    pub(super) fn newest_import(&self, tenant: &TenantId, user: &Identifier) -> Option<&Task> {
        self.tasks
            .get(self.tenants.get(tenant)?.newest_imports.get(user)?)
    }

    pub(super) fn failures(&self, task: &Task, from: u64, limit: u32) -> Vec<ImportFailure> {
        let rows = self.failures.get(&task.id);
        let of_attempt = rows.filter(|(fence, _)| *fence == task.fence);
        let (from, limit) = (usize::try_from(from).unwrap_or(usize::MAX), limit as usize);
        of_attempt
            .map(|(_, rows)| rows.iter().skip(from).take(limit).cloned().collect())
            .unwrap_or_default()
    }

    pub(super) fn history(&self, id: TaskId) -> History {
        self.histories.get(&id).cloned().unwrap_or_default()
    }

    /// Applies a command to a task.
    pub(super) fn apply(
        &mut self,
        target: &Target,
        command: &Command,
        at: Timestamp,
    ) -> Result<Moved, ApplyError> {
        let task = self.tasks.get_mut(&target.id);
        let Some(task) = task.filter(|task| target.scope.covers(task)) else {
            return Err(ApplyError::NoTask);
        };
        let (state_before, was_ready) = (state(task), ready_from(task));
        let effects = task.apply(command, at)?;
        let (after, lease) = (task.clone(), effects.lease);
        if let Some(index) = self.tenants.get_mut(&after.tenant_id) {
            index.ids(state_before).remove(&after.id);
            index.ids(state(&after)).insert(after.id);
        }
        self.keep(after.id, effects);
        Ok(Moved::new(was_ready, after, lease))
    }

    /// The task of this id.
    pub(super) fn task(&self, id: TaskId) -> Option<&Task> {
        self.tasks.get(&id)
    }

    /// The first of a tenant's tasks in this state.
    fn first(
        &self,
        (tenant_id, task_type): (&TenantId, TaskType),
        status: TaskStatus,
    ) -> impl Iterator<Item = &Task> {
        let index = self.tenants.get(tenant_id);
        let ids = index.and_then(|index| index.by_state.get(&(task_type, status)));
        ids.into_iter()
            .flatten()
            .filter_map(|id| self.tasks.get(id))
    }

    /// Keeps what a command has to be written beside the task.
    fn keep(&mut self, id: TaskId, effects: Effects) {
        if effects.ended.is_some() || effects.action.is_some() {
            let history = self.histories.entry(id).or_default();
            history.attempts.extend(effects.ended);
            history.actions.extend(effects.action);
        }
        if let Some(new) = effects.failures {
            let (fence, rows) = self.failures.entry(id).or_default();
            if *fence != new.fence {
                *fence = new.fence;
                rows.clear();
            }
            rows.extend(new.rows);
        }
    }
}

impl Storage for State {
    type Error = Infallible;

    fn fresh(&self, of: (&TenantId, TaskType), most: usize) -> Result<Vec<TaskId>, Infallible> {
        let fresh = self.first(of, TaskStatus::New);
        Ok(fresh.map(|task| task.id).take(most).collect())
    }

    fn retries(&self, of: (&TenantId, TaskType), most: usize) -> Result<Vec<DueRetry>, Infallible> {
        let waiting = self.first(of, TaskStatus::Waiting);
        let mut retries: Vec<DueRetry> = waiting.filter_map(ready_from).collect();
        retries.sort_unstable();
        retries.truncate(most);
        Ok(retries)
    }

    fn task(&self, id: TaskId) -> Result<Option<Task>, Infallible> {
        Ok(self.tasks.get(&id).cloned())
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

/// What a task is listed by.
const fn state(task: &Task) -> (TaskType, TaskStatus) {
    (task.parameters.task_type(), task.status)
}

impl TenantIndex {
    fn ids(&mut self, state: (TaskType, TaskStatus)) -> &mut BTreeSet<TaskId> {
        self.by_state.entry(state).or_default()
    }
}

/// The ids that the page may hold, in its order.
fn first_after(ids: &BTreeSet<TaskId>, page: Page) -> Box<dyn Iterator<Item = TaskId> + '_> {
    let after = page.after.map_or(Bound::Unbounded, Bound::Excluded);
    match page.order {
        Order::Ascending => Box::new(ids.range((after, Bound::Unbounded)).copied()),
        Order::Descending => Box::new(ids.range((Bound::Unbounded, after)).rev().copied()),
    }
}
