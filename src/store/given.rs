//! The tasks that workers are at, as they were last written: a report of one need not
//! read its row first.

use std::collections::HashMap;

use crate::task::{Task, TaskId, TaskStatus};

/// The most tasks that are known for sure, the last ones; of as many before some may be.
const CAPACITY: usize = 8192;

/// Tasks that workers are at.
///
/// Who is the only one to write has them as they are. To instances that share a
/// database they may have become old: those make the database compare.
#[derive(Default)]
pub(super) struct Given {
    /// When these are enough, they become the old ones, which are forgotten then.
    young: HashMap<TaskId, Task>,
    old: HashMap<TaskId, Task>,
}

impl Given {
    /// Takes note of a task as it was written: of one that a worker is at, to know it, of
    /// any other, to know it no more.
    pub(super) fn note(&mut self, task: &Task) {
        if task.status == TaskStatus::Executing && task.attempt.is_some() {
            self.keep(task.clone());
        } else {
            drop(self.take(task.id));
        }
    }

    /// Keeps a task that a worker is at.
    pub(super) fn keep(&mut self, task: Task) {
        drop(self.take(task.id));
        if self.young.len() >= CAPACITY {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(task.id, task);
    }

    /// Whether the task is known.
    pub(super) fn has(&self, id: TaskId) -> bool {
        self.young.contains_key(&id) || self.old.contains_key(&id)
    }

    /// The task, if it is known; it is known no more then.
    pub(super) fn take(&mut self, id: TaskId) -> Option<Task> {
        self.young.remove(&id).or_else(|| self.old.remove(&id))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::task::attempt::Claim;
    use crate::task::life_cycle::{Command, Report};
    use crate::task::{NewTask, TaskParameters};

    /// A task that a worker is at.
    fn claimed(id: usize) -> Task {
        let id = TaskId::new(i64::try_from(id).unwrap()).unwrap();
        let name = |text: &str| text.parse::<crate::task::Identifier>().unwrap();
        let new = NewTask {
            tenant_id: name("tenant").into(),
            user_id: name("user"),
            created_by: None,
            locale: "en-US",
            parameters: TaskParameters::Transfer {
                src_user_id: name("source"),
                dst_user_id: name("recipient"),
            },
        };
        let mut task = Task::new(id, new);
        let claim = Command::Claim {
            claim: Claim {
                claim_id: Uuid::nil(),
                worker: name("worker"),
                holder: name("holder"),
                lease: Duration::from_secs(60),
            },
            timeout: Duration::from_hours(24),
        };
        task.apply(&claim, Timestamp::UNIX_EPOCH).unwrap();
        task
    }

    #[test]
    fn the_last_tasks_are_known_and_no_more_than_twice_as_many() {
        let mut given = Given::default();
        for id in 1..=3 * CAPACITY {
            given.note(&claimed(id));
            // Again, as a heartbeat does.
            given.note(&claimed(id));
            let first_known = id.saturating_sub(CAPACITY - 1).max(1);
            for known in [first_known, id] {
                assert!(given.has(TaskId::new(i64::try_from(known).unwrap()).unwrap()));
            }
            assert!(given.young.len() + given.old.len() <= 2 * CAPACITY);
        }
    }

    #[test]
    fn a_task_that_no_worker_is_at_any_more_is_not_known() {
        let mut given = Given::default();
        let mut task = claimed(1);
        given.note(&task);
        let report = Report {
            fence: task.fence,
            holder: task.attempt.as_ref().unwrap().claim.holder.clone(),
        };
        let complete = Command::Complete {
            report,
            counts: None,
        };
        task.apply(&complete, Timestamp::UNIX_EPOCH).unwrap();
        given.note(&task);
        assert!(!given.has(task.id));
        assert_eq!(given.take(task.id), None);
    }
}
