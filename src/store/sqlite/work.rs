//! The writes that wait for the writer.

use std::time::Duration;

use crate::store::queue::{self, Job, Queue, Wakeup};
use crate::store::row::NewRow;
use crate::task::Task;
use crate::task::life_cycle::Command;
use crate::task::repository::{ApplyError, Created, StoreError};
use crate::task::scope::Target;

/// A command and the task that it is for.
pub(super) struct Transition {
    pub(super) target: Target,
    pub(super) command: Command,
}

/// The task after a command.
pub(super) type Applied = Result<Box<Task>, ApplyError>;

/// The writes that wait. Each kind has places of its own: however many creates
/// wait, ends, heartbeats and cancels are taken in.
pub(super) struct WriteQueue {
    pub(super) creates: Queue<NewRow, Created>,
    pub(super) transitions: Queue<Transition, Applied>,
    wakeup: Wakeup,
}

/// The writes that share a commit.
#[derive(Default)]
pub(super) struct Writes {
    pub(super) creates: Vec<Job<NewRow, Created>>,
    pub(super) transitions: Vec<Job<Transition, Applied>>,
}

/// What became of [`Writes`], of each kind in order.
pub(super) struct Outcomes {
    pub(super) creates: Vec<Created>,
    pub(super) transitions: Vec<Applied>,
}

impl Default for WriteQueue {
    fn default() -> Self {
        let wakeup = Wakeup::default();
        Self {
            creates: Queue::with(wakeup.clone()),
            transitions: Queue::with(wakeup.clone()),
            wakeup,
        }
    }
}

impl WriteQueue {
    /// The next writes that somebody waits for; none after `idle` without any.
    /// `None` when the queue is closed and drained.
    pub(super) fn take_within(&self, idle: Duration) -> Option<Writes> {
        let taken = self.wakeup.wait(idle, || {
            let (creates, transitions) = (self.creates.try_take(), self.transitions.try_take());
            if creates.is_none() && transitions.is_none() {
                return Some(None);
            }
            let writes = Writes {
                creates: creates.unwrap_or_default(),
                transitions: transitions.unwrap_or_default(),
            };
            (writes.len() > 0).then_some(Some(writes))
        });
        let mut writes = taken.unwrap_or_else(|| Some(Writes::default()))?;
        writes.creates.retain(Job::is_awaited);
        writes.transitions.retain(Job::is_awaited);
        Some(writes)
    }

    /// Takes no more; what waits is still handed out.
    pub(super) fn close(&self) {
        self.creates.close();
        self.transitions.close();
    }
}

impl Writes {
    /// How many they are.
    pub(super) const fn len(&self) -> usize {
        self.creates.len().saturating_add(self.transitions.len())
    }

    /// Tells of each, in order, what became of it.
    pub(super) fn answer(self, outcomes: Outcomes) {
        queue::answer(self.creates, outcomes.creates);
        queue::answer(self.transitions, outcomes.transitions);
    }

    /// Tells of each that the commit failed.
    pub(super) fn fail(self, error: &StoreError) {
        queue::fail(self.creates, error);
        queue::fail(self.transitions, error);
    }
}
