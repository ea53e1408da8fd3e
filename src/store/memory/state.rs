//! What the memory store holds, and the ways to find it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;

use jiff::Timestamp;

use crate::task::idempotency::{Digest, Idempotency};
use crate::task::life_cycle::{InvalidTransition, Transition};
use crate::task::list::{Order, Page};
use crate::task::repository::Created;
use crate::task::{
    Identifier, ImportResult, Task, TaskId, TaskParameters, TaskStatus, TaskType, TenantId,
};

/// Everything.
#[derive(Default)]
pub(super) struct State {
    tasks: BTreeMap<TaskId, Task>,
    tenants: HashMap<TenantId, TenantIndex>,
    import_results: HashMap<TaskId, ImportResult>,
    /// What each unexpired key stands for.
    keys: HashMap<Digest, (TaskId, Digest)>,
    /// The keys in the order of their ids, oldest first, to forget them by.
    key_order: VecDeque<(TaskId, Digest)>,
    pub(super) closed: bool,
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

    /// What the same key did before.
    pub(super) fn first_use(&self, idempotency: Idempotency) -> Option<Created> {
        let (id, body) = self.keys.get(&idempotency.key)?;
        Some(Created::of_existing(&idempotency, *id, *body))
    }

    pub(super) fn insert(&mut self, task: Task, idempotency: Option<Idempotency>) {
        if let Some(Idempotency { key, body }) = idempotency {
            self.keys.insert(key, (task.id, body));
            self.key_order.push_back((task.id, key));
        }
        if !self.tenants.contains_key(&task.tenant_id) {
            self.tenants
                .insert(task.tenant_id.clone(), TenantIndex::default());
        }
        if let Some(index) = self.tenants.get_mut(&task.tenant_id) {
            index.state(&task).insert(task.id);
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

    pub(super) fn import_result(&self, id: TaskId) -> ImportResult {
        self.import_results.get(&id).cloned().unwrap_or_default()
    }

    pub(super) fn take_step(
        &mut self,
        id: TaskId,
        step: Transition,
        now: Timestamp,
    ) -> Result<Option<Task>, InvalidTransition> {
        let Some(task) = self.tasks.get_mut(&id) else {
            return Ok(None);
        };
        let before = task.clone();
        task.take(&step, now)?;
        if let Some(index) = self.tenants.get_mut(&task.tenant_id) {
            index.state(&before).remove(&id);
            index.state(task).insert(id);
        }
        if let Transition::Progress(result) = step {
            self.import_results.insert(id, result);
        }
        Ok(Some(task.clone()))
    }
}

impl TenantIndex {
    fn state(&mut self, task: &Task) -> &mut BTreeSet<TaskId> {
        self.by_state
            .entry((task.parameters.task_type(), task.status))
            .or_default()
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
