//! Who counts what happens to tasks.

use std::sync::Arc;
use std::time::Duration;

use super::{TaskStatus, TaskType};

/// What became of a request to create a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CreateOutcome {
    /// There is a new task.
    New,
    /// The same request had created it before.
    Existing,
    /// The idempotency key stands for another body.
    Mismatch,
}

/// Is told what the service and its store do. It is called on the way of every
/// write: it must neither block nor allocate.
pub trait TaskObserver: Send + Sync + 'static {
    /// A request to create a task was answered.
    fn created(&self, task_type: TaskType, outcome: CreateOutcome);

    /// A task went over into this status, durably.
    fn moved(&self, task_type: TaskType, to: TaskStatus);

    /// The store committed so many writes at once, in this time.
    fn committed(&self, writes: usize, took: Duration);

    /// A commit of the store failed, or a probe after one that did.
    fn commit_failed(&self);
}

/// Whom nothing interests.
struct Nobody;

impl TaskObserver for Nobody {
    fn created(&self, _: TaskType, _: CreateOutcome) {}
    fn moved(&self, _: TaskType, _: TaskStatus) {}
    fn committed(&self, _: usize, _: Duration) {}
    fn commit_failed(&self) {}
}

/// An observer for where nothing is counted.
#[must_use]
pub fn nobody() -> Arc<dyn TaskObserver> {
    Arc::new(Nobody)
}
