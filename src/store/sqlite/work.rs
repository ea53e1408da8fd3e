//! The writes that wait for the writer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::store::dispatch::{ClaimJob, Claimed};
use crate::store::queue::{self, Job, Queue, Wakeup};
use crate::store::row::NewRow;
use crate::task::claim::ClaimRequest;
use crate::task::life_cycle::Command;
use crate::task::repository::{ApplyError, Created, StoreError};
use crate::task::scope::Target;
use crate::task::{Task, TaskStatus, TaskType};

/// A command and the task that it is for.
pub(super) struct Transition {
    pub(super) target: Target,
    pub(super) command: Command,
}

impl Transition {
    /// How many rows it writes, of those that may be many.
    fn rows(&self) -> usize {
        match &self.command {
            Command::RecordFailures { rows, .. } => rows.len(),
            _ => 1,
        }
    }
}

/// The task after a command.
pub(super) type Applied = Result<Box<Task>, ApplyError>;

/// The writes that wait. Each kind has places of its own: however many creates
/// wait, ends, heartbeats and cancels are taken in.
pub(super) struct WriteQueue {
    pub(super) creates: Queue<NewRow, Created>,
    pub(super) transitions: Queue<Transition, Applied>,
    pub(super) claims: Queue<ClaimRequest, Claimed>,
    /// The writer has yet to be told that the service is about to end.
    drains: AtomicBool,
    wakeup: Wakeup,
}

/// The writes that share a commit, and claims that arrived.
#[derive(Default)]
pub(super) struct Writes {
    pub(super) creates: Vec<Job<NewRow, Created>>,
    pub(super) transitions: Vec<Job<Transition, Applied>>,
    pub(super) claims: Vec<ClaimJob>,
    /// Nobody shall wait for long from now on.
    pub(super) drains: bool,
}

/// What became of [`Writes`], of each kind in order, and of all claims that wait.
pub(super) struct Outcomes {
    pub(super) creates: Vec<Created>,
    pub(super) transitions: Vec<Applied>,
    pub(super) claims: Vec<Option<Claimed>>,
    /// Changes of a task's status: its type, and the status after.
    pub(super) moves: Vec<(TaskType, TaskStatus)>,
}

impl Default for WriteQueue {
    fn default() -> Self {
        let wakeup = Wakeup::default();
        Self {
            creates: Queue::with(wakeup.clone()),
            transitions: Queue::with(wakeup.clone()).counted(Transition::rows),
            claims: Queue::with(wakeup.clone()),
            drains: AtomicBool::new(false),
            wakeup,
        }
    }
}

impl WriteQueue {
    /// The most writes that may wait, of both kinds.
    pub(super) const CAPACITY: usize = queue::CAPACITY.saturating_mul(2);

    /// The next writes that somebody waits for; none after `idle` without any.
    /// `None` when the queue is closed and drained.
    pub(super) fn take_within(&self, idle: Duration) -> Option<Writes> {
        let taken = self.wakeup.wait(idle, || {
            let creates = self.creates.try_take();
            let transitions = self.transitions.try_take();
            let claims = self.claims.try_take();
            if creates.is_none() && transitions.is_none() && claims.is_none() {
                return Some(None);
            }
            let writes = Writes {
                creates: creates.unwrap_or_default(),
                transitions: transitions.unwrap_or_default(),
                claims: claims.unwrap_or_default(),
                drains: self.drains.swap(false, Ordering::AcqRel),
            };
            let is_empty = writes.len() == 0 && writes.claims.is_empty() && !writes.drains;
            (!is_empty).then_some(Some(writes))
        });
        let mut writes = taken.unwrap_or_else(|| Some(Writes::default()))?;
        writes.creates.retain(Job::is_awaited);
        writes.transitions.retain(Job::is_awaited);
        Some(writes)
    }

    /// How many writes wait, and since when the oldest does.
    pub(super) fn waiting(&self) -> (usize, Option<Instant>) {
        let (creates, first) = self.creates.waiting();
        let (transitions, second) = self.transitions.waiting();
        let oldest = first.into_iter().chain(second).min();
        (creates.saturating_add(transitions), oldest)
    }

    /// Tells the writer that nobody shall wait for long from now on.
    pub(super) fn drain(&self) {
        self.drains.store(true, Ordering::Release);
        self.wakeup.wake();
    }

    /// Takes no more; what waits is still handed out.
    pub(super) fn close(&self) {
        self.creates.close();
        self.transitions.close();
        self.claims.close();
    }
}

impl Writes {
    /// How many writes they are.
    pub(super) const fn len(&self) -> usize {
        self.creates.len().saturating_add(self.transitions.len())
    }

    /// When the oldest came.
    pub(super) fn oldest(&self) -> Option<Instant> {
        let (creates, transitions) = (self.creates.first(), self.transitions.first());
        let creates = creates.map(Job::since);
        creates.into_iter().chain(transitions.map(Job::since)).min()
    }

    /// Tells of each write, in order, what became of it.
    pub(super) fn answer(self, creates: Vec<Created>, transitions: Vec<Applied>) {
        queue::answer(self.creates, creates);
        queue::answer(self.transitions, transitions);
    }

    /// Tells of each write that the commit failed.
    pub(super) fn fail(self, error: &StoreError) {
        queue::fail(self.creates, error);
        queue::fail(self.transitions, error);
    }
}
