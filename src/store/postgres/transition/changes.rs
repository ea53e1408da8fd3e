//! What a transaction of transitions writes: gathered first, then a statement for
//! each table, however many commands there were.

mod statements;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::task::attempt::{Action, EndedAttempt, Fence};
use crate::task::life_cycle::{Command, Effects, LeaseChange, NewFailures, Refusal};
use crate::task::{Identifier, Task, TaskId, TaskStatus, TaskType, TenantId};

pub(super) use self::statements::WriteError;
use super::rows::{Key, Locked};

/// The changes of a transaction.
#[derive(Default)]
pub(super) struct Changes {
    /// The tasks that are locked, as they are now.
    tasks: BTreeMap<Key, Touched>,
    /// Leases of tasks that are not locked.
    renewals: BTreeMap<Key, (Fence, Duration)>,
    attempts: Vec<(TaskId, EndedAttempt)>,
    actions: Vec<(TaskId, Action)>,
    failures: Vec<(TaskId, NewFailures)>,
}

struct Touched {
    task: Task,
    /// By the database's clock.
    at: jiff::Timestamp,
    /// Whose lease it was at first.
    was_held_by: Option<Identifier>,
    was: TaskStatus,
    changed: bool,
    lease: LeaseChange,
}

/// Somebody's number of leases has changed.
pub(super) struct HoldingChange {
    pub(super) tenant_id: TenantId,
    pub(super) task_type: TaskType,
    pub(super) holder: Identifier,
    pub(super) by: isize,
}

impl Changes {
    /// Takes in a task that is locked.
    pub(super) fn add(&mut self, locked: Locked) {
        let (was, was_held_by) = (locked.task.status, holder(&locked.task));
        self.tasks.insert(
            Key::of(locked.task.id),
            Touched {
                task: locked.task,
                at: locked.at,
                was_held_by,
                was,
                changed: false,
                lease: LeaseChange::None,
            },
        );
    }

    /// Whether the task is locked by this transaction.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.tasks.contains_key(key)
    }

    /// The locked task as it is now.
    pub(super) fn task(&self, id: TaskId) -> Option<&Task> {
        Some(&self.tasks.get(&Key::of(id))?.task)
    }

    /// Applies a command to a locked task; the task after it. `None` if it is not
    /// locked.
    pub(super) fn apply(&mut self, id: TaskId, command: &Command) -> Option<Result<Task, Refusal>> {
        let touched = self.tasks.get_mut(&Key::of(id))?;
        let effects = match touched.task.apply(command, touched.at) {
            Ok(effects) => effects,
            Err(refusal) => return Some(Err(refusal)),
        };
        let Effects {
            changed,
            lease,
            ended,
            failures,
            action,
        } = effects;
        touched.changed |= changed;
        if lease != LeaseChange::None {
            touched.lease = lease;
        }
        self.attempts.extend(ended.map(|ended| (id, ended)));
        self.failures.extend(failures.map(|new| (id, new)));
        self.actions.extend(action.map(|action| (id, action)));
        Some(Ok(touched.task.clone()))
    }

    /// Renews the lease of an attempt without touching its task.
    pub(super) fn renew(&mut self, task: &Task, lease: Duration) {
        self.renewals.insert(Key::of(task.id), (task.fence, lease));
    }

    /// Whether there is nothing to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.renewals.is_empty() && self.written().next().is_none()
    }

    /// The tasks that are different now.
    pub(super) fn changed(&self) -> impl Iterator<Item = &Task> {
        let tasks = self.tasks.values();
        tasks.filter(|of| of.changed).map(|of| &of.task)
    }

    /// The changes of status: the type, and the status after.
    pub(super) fn moves(&self) -> impl Iterator<Item = (TaskType, TaskStatus)> {
        let touched = self.tasks.values().filter(|of| of.was != of.task.status);
        touched.map(|of| (of.task.parameters.task_type(), of.task.status))
    }

    /// What becomes of the numbers of leases.
    pub(super) fn holdings(&self) -> impl Iterator<Item = HoldingChange> {
        self.written().flat_map(|(_, touched)| {
            let change = |holder: Option<Identifier>, by| {
                holder.map(|holder| HoldingChange {
                    tenant_id: touched.task.tenant_id.clone(),
                    task_type: touched.task.parameters.task_type(),
                    holder,
                    by,
                })
            };
            [
                change(touched.was_held_by.clone(), -1),
                change(holder(&touched.task), 1),
            ]
            .into_iter()
            .flatten()
        })
    }

    fn written(&self) -> impl Iterator<Item = (&Key, &Touched)> {
        let tasks = self.tasks.iter();
        tasks.filter(|(_, of)| of.changed || of.lease != LeaseChange::None)
    }
}

/// Who holds the task's lease, if there is one.
fn holder(task: &Task) -> Option<Identifier> {
    let attempt = task.attempt.as_ref();
    attempt
        .filter(|_| task.status == crate::task::TaskStatus::Executing)
        .map(|attempt| attempt.claim.holder.clone())
}
