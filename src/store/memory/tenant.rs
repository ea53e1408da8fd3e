//! One tenant's tasks, and the ways to them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::keys::Keys;
use crate::task::attempt::{Fence, History};
use crate::task::import::ImportFailure;
use crate::task::life_cycle::Effects;
use crate::task::{Identifier, Task, TaskId, TaskParameters, TaskStatus, TaskType};

/// A tenant's tasks, and the ways to them.
#[derive(Default)]
pub(super) struct TenantState {
    pub(super) tasks: BTreeMap<TaskId, Task>,
    pub(super) by_state: HashMap<(TaskType, TaskStatus), BTreeSet<TaskId>>,
    pub(super) newest_transfers: HashMap<Identifier, TaskId>,
    pub(super) newest_imports: HashMap<Identifier, TaskId>,
    /// The users that a batch import's last attempt could not take.
    pub(super) failures: HashMap<TaskId, (Fence, Vec<ImportFailure>)>,
    pub(super) histories: HashMap<TaskId, History>,
    pub(super) keys: Keys,
}

impl TenantState {
    pub(super) fn insert(&mut self, task: Task) {
        self.ids(state(&task)).insert(task.id);
        let newest = match &task.parameters {
            TaskParameters::Transfer { src_user_id, .. } => {
                self.newest_transfers.entry(src_user_id.clone())
            }
            TaskParameters::BatchImport { .. } => self.newest_imports.entry(task.user_id.clone()),
        };
        let newest = newest.or_insert(task.id);
        *newest = task.id.max(*newest);
        self.tasks.insert(task.id, task);
    }

    pub(super) fn remove(&mut self, id: TaskId) -> Option<Task> {
        let task = self.tasks.remove(&id)?;
        self.ids(state(&task)).remove(&id);
        self.failures.remove(&id);
        self.histories.remove(&id);
        self.keys.forget(id);
        match &task.parameters {
            TaskParameters::Transfer { src_user_id, .. } => {
                remove_if(&mut self.newest_transfers, src_user_id, id);
            }
            TaskParameters::BatchImport { .. } => {
                remove_if(&mut self.newest_imports, &task.user_id, id);
            }
        }
        Some(task)
    }

    /// Keeps what a command has to be written beside the task.
    pub(super) fn keep(&mut self, id: TaskId, effects: Effects) {
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

    pub(super) fn ids(&mut self, state: (TaskType, TaskStatus)) -> &mut BTreeSet<TaskId> {
        self.by_state.entry(state).or_default()
    }
}

fn remove_if(newest: &mut HashMap<Identifier, TaskId>, user: &Identifier, id: TaskId) {
    if newest.get(user) == Some(&id) {
        newest.remove(user);
    }
}

/// What a task is listed by.
pub(super) const fn state(task: &Task) -> (TaskType, TaskStatus) {
    (task.parameters.task_type(), task.status)
}
