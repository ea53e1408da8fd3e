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
        drop(self.take(task.id));
        if task.status != TaskStatus::Executing || task.attempt.is_none() {
            return;
        }
        if self.young.len() >= CAPACITY {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(task.id, task.clone());
    }

    /// The task, if it is known.
    pub(super) fn get(&self, id: TaskId) -> Option<&Task> {
        self.young.get(&id).or_else(|| self.old.get(&id))
    }

    /// The task, if it is known; it is known no more then.
    pub(super) fn take(&mut self, id: TaskId) -> Option<Task> {
        self.young.remove(&id).or_else(|| self.old.remove(&id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::life_cycle::laws::{after, claim, complete};

    /// A task that a worker is at.
    fn claimed(id: usize) -> Task {
        Task {
            id: task_id(id),
            ..after(&[claim("h")])
        }
    }

    fn task_id(id: usize) -> TaskId {
        TaskId::new(i64::try_from(id).unwrap()).unwrap()
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
                assert!(given.get(task_id(known)).is_some());
            }
            assert!(given.young.len() + given.old.len() <= 2 * CAPACITY);
        }
    }

    #[test]
    fn a_task_that_no_worker_is_at_any_more_is_not_known() {
        let mut given = Given::default();
        let task = claimed(1);
        given.note(&task);
        assert_eq!(given.get(task.id), Some(&task));
        given.note(&after(&[claim("h"), complete(1)]));
        assert_eq!(given.get(task.id), None);
        assert_eq!(given.take(task.id), None);
    }
}
