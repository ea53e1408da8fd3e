//! What a tenant's tasks are about to do.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::outcome::Plan;
use super::progress::Wait;
use crate::task::{Task, TaskId, TaskStatus, TenantId};

/// The most ids of a millisecond, less one.
const LAST_SEQUENCE: u8 = 127;

/// A task's way to its end.
#[derive(Debug, Clone)]
pub(super) struct Life {
    /// Where it goes.
    pub plan: Plan,
    /// The rule that said so.
    pub rule: Option<String>,
    /// The answers that showed its present status.
    pub polls: u32,
    due: Option<Timestamp>,
}

impl Life {
    /// A life by this plan, of which nothing is lived yet.
    #[must_use]
    pub(super) const fn new(plan: Plan, rule: Option<String>) -> Self {
        Self {
            plan,
            rule,
            polls: 0,
            due: None,
        }
    }

    /// What ends its time in this status.
    #[must_use]
    pub(super) const fn wait(&self, status: TaskStatus) -> Wait {
        match status {
            TaskStatus::New | TaskStatus::Waiting => self.plan.progress.new,
            TaskStatus::Executing => self.plan.progress.executing,
            TaskStatus::Success | TaskStatus::Failed => Wait::ByHand,
        }
    }

    /// When it goes on, if a time for it is set.
    #[must_use]
    pub(super) const fn due(&self) -> Option<Timestamp> {
        self.due
    }
}

/// The lives of a tenant's tasks, when they go on, and its last id.
#[derive(Debug, Default)]
pub(super) struct World {
    lives: BTreeMap<TaskId, Life>,
    due: BTreeSet<(Timestamp, TaskId)>,
    last: Option<(Timestamp, u8)>,
    moves: u64,
}

impl World {
    /// How often tasks have moved on: what was read when there were as many is as
    /// it is now.
    #[must_use]
    pub(super) const fn moves(&self) -> u64 {
        self.moves
    }

    /// The life of a task, if it has one ahead or rows to show.
    #[must_use]
    pub(super) fn life(&self, id: TaskId) -> Option<&Life> {
        self.lives.get(&id)
    }

    /// The task that goes on next, and when.
    #[must_use]
    pub(super) fn next_due(&self) -> Option<(Timestamp, TaskId)> {
        self.due.first().copied()
    }

    /// The first tasks that were due by `now`, at most so many.
    #[must_use]
    pub(super) fn due(&self, now: Timestamp, most: usize) -> Vec<(Timestamp, TaskId, Life)> {
        let due = self.due.iter().take_while(|(due, _)| *due <= now);
        let life = |&(due, id)| Some((due, id, self.lives.get(&id)?.clone()));
        due.take(most).filter_map(life).collect()
    }

    /// The task that goes on last of those for which a time is set.
    #[must_use]
    pub(super) fn last_due(&self) -> Option<(Timestamp, TaskId)> {
        self.due.last().copied()
    }

    /// Has a task live on from `at`, in the status that it has come to.
    pub(super) fn enter(&mut self, task: &Task, life: Life, at: Timestamp) {
        self.moves = self.moves.wrapping_add(1);
        self.begin(task, life, at);
    }

    /// Has a task live from `at`, in the status that it has.
    pub(super) fn begin(&mut self, task: &Task, mut life: Life, at: Timestamp) {
        self.remove(task.id);
        if task.status.has_ended() && !life.plan.has_rows() {
            return;
        }
        life.polls = 0;
        life.due = match life.wait(task.status) {
            Wait::For(time) => at.checked_add(time).ok(),
            Wait::Polls(0) => Some(at),
            Wait::Polls(_) | Wait::ByHand => None,
        };
        if let Some(due) = life.due {
            self.due.insert((due, task.id));
        }
        self.lives.insert(task.id, life);
    }

    /// Notes that an answer shows the task; its life, if that was the last one of
    /// its status.
    pub(super) fn show(&mut self, task: &Task) -> Option<Life> {
        let life = self.lives.get_mut(&task.id)?;
        let Wait::Polls(most) = life.wait(task.status) else {
            return None;
        };
        life.polls = life.polls.saturating_add(1);
        (life.polls >= most).then(|| life.clone())
    }

    /// Forgets a task.
    pub(super) fn remove(&mut self, id: TaskId) -> Option<Life> {
        let life = self.lives.remove(&id)?;
        if let Some(due) = life.due {
            self.due.remove(&(due, id));
        }
        Some(life)
    }

    /// Keeps no more than `most` lives: the oldest go.
    pub(super) fn bound(&mut self, most: usize) {
        while self.lives.len() > most
            && let Some((&oldest, _)) = self.lives.first_key_value()
        {
            self.remove(oldest);
        }
    }

    /// The next id of this node at `now`; where all of a millisecond are used, of
    /// the next one.
    pub(super) fn draw(&mut self, node: u16, now: Timestamp) -> TaskId {
        let (time, sequence) = match self.last {
            Some((time, LAST_SEQUENCE)) if time >= now => {
                let next = time.as_millisecond().saturating_add(1);
                (Timestamp::from_millisecond(next).unwrap_or(time), 0)
            }
            Some((time, sequence)) if time >= now => (time, sequence.saturating_add(1)),
            _ => (now, 0),
        };
        self.last = Some((time, sequence));
        TaskId::of_parts(time, node, sequence)
    }

    /// Forgets all of it.
    pub(super) fn clear(&mut self) {
        *self = Self {
            moves: self.moves.wrapping_add(1),
            ..Self::default()
        };
    }

    /// Ids begin again at the clock, which was set.
    pub(super) const fn forget_last(&mut self) {
        self.last = None;
    }
}

/// The node of a tenant's ids: a hash of its name.
#[must_use]
pub(super) fn node_of(tenant_id: &TenantId) -> u16 {
    let digest: [u8; 32] = Sha256::digest(tenant_id.as_str()).into();
    let [first, second, ..] = digest;
    u16::from_be_bytes([first, second])
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    reason = "the times of a test are far from any limit"
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_rise_whatever_the_clock_does(times in proptest::collection::vec(0_i64..5, 1..500)) {
            let mut world = World::default();
            let mut last = None;
            for time in times {
                let now = Timestamp::from_millisecond(1_767_225_600_000 + time).unwrap();
                let id = world.draw(42, now);
                prop_assert!(last < Some(id));
                prop_assert_eq!(id.node(), 42);
                last = Some(id);
            }
        }
    }
}
