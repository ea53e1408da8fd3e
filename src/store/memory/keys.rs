//! By which keys a tenant's tasks are found again.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use crate::task::TaskId;
use crate::task::idempotency::{Digest, Idempotency};

/// The most keys of a task: the two that it was created with, and those of its
/// first repetitions. A client that signs each repetition anew is known by its
/// `Idempotency-Key`, so what comes after them is worth no memory.
const MOST_OF_TASK: usize = 8;

/// The keys of tasks that are kept.
#[derive(Default)]
pub(super) struct Keys {
    /// The task of each, and the body that it came with.
    tasks: HashMap<Digest, (TaskId, Digest)>,
    /// The keys of each task, to forget them by.
    of_task: BTreeMap<TaskId, Vec<Digest>>,
}

impl Keys {
    /// The task that one of these keys created, and its body.
    pub(super) fn first_use(&self, idempotency: &Idempotency) -> Option<(TaskId, Digest)> {
        let known = idempotency.keys().find_map(|key| self.tasks.get(&key));
        known.copied()
    }

    /// Has these keys stand for a task, if they stand for none and it has room.
    pub(super) fn remember(&mut self, id: TaskId, idempotency: &Idempotency) {
        let of_task = self.of_task.entry(id).or_default();
        for key in idempotency.keys() {
            if of_task.len() < MOST_OF_TASK
                && let Entry::Vacant(vacant) = self.tasks.entry(key)
            {
                vacant.insert((id, idempotency.body));
                of_task.push(key);
            }
        }
    }

    /// Forgets the keys of a task.
    pub(super) fn forget(&mut self, id: TaskId) {
        for key in self.of_task.remove(&id).unwrap_or_default() {
            self.tasks.remove(&key);
        }
    }

    /// Forgets the keys of all tasks before this one.
    pub(super) fn forget_before(&mut self, first_kept: TaskId) {
        while let Some((&first, _)) = self.of_task.first_key_value()
            && first < first_kept
        {
            self.forget(first);
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    reason = "the numbers of a test are far from any limit"
)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn id(number: u8) -> TaskId {
        TaskId::of_parts(Timestamp::UNIX_EPOCH, 0, number)
    }

    fn key(number: u8) -> Idempotency {
        Idempotency {
            key: [number; 16],
            signature: None,
            body: [0; 16],
        }
    }

    proptest! {
        #[test]
        fn a_task_has_few_keys_however_often_it_is_repeated_and_none_outlives_it(
            repeats in proptest::collection::vec((0_u8..8, any::<u8>()), 0..400),
            gone in 0_u8..8,
            first_kept in 0_u8..8,
        ) {
            let mut keys = Keys::default();
            for (task, number) in repeats {
                keys.remember(id(task), &key(number));
            }
            prop_assert!(keys.tasks.len() <= 8 * MOST_OF_TASK);
            let first = keys.of_task.get(&id(7)).and_then(|of| of.first()).copied();
            keys.forget(id(gone));
            keys.forget_before(id(first_kept));
            let is_kept = |task: &TaskId| *task >= id(first_kept) && *task != id(gone);
            prop_assert!(keys.tasks.values().all(|(task, _)| is_kept(task)));
            prop_assert!(keys.of_task.keys().all(is_kept));
            if let Some(first) = first.filter(|_| gone != 7) {
                let found = keys.first_use(&key(first[0]));
                prop_assert_eq!(found.map(|(task, _)| task), Some(id(7)), "the first key stays");
            }
        }
    }
}
