//! What the writer does.

use crate::store::row::NewRow;
use crate::task::life_cycle::{InvalidTransition, Transition};
use crate::task::repository::Created;
use crate::task::{Task, TaskId};

/// What a write that waits shall do.
pub(super) enum Work {
    /// Create this task.
    Create(NewRow),
    /// Let a task take a step of its life.
    TakeStep { id: TaskId, step: Transition },
}

/// What became of a write, once it is committed.
pub(super) enum Done {
    Created(Created),
    /// The task after its step; none if there is no such task.
    Stepped(Result<Option<Task>, InvalidTransition>),
}
