//! What the writer does.

use crate::store::row::NewRow;
use crate::task::Task;
use crate::task::life_cycle::{Command, Refusal};
use crate::task::repository::Created;
use crate::task::scope::Target;

/// What a write that waits shall do.
pub(super) enum Work {
    /// Create this task.
    Create(NewRow),
    /// Apply a command to a task.
    Apply { target: Target, command: Command },
}

/// What became of a write, once it is committed.
pub(super) enum Done {
    Created(Created),
    /// The task after the command; none if there is no such task.
    Applied(Result<Option<Box<Task>>, Refusal>),
}
