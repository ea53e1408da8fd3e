//! Why a command is refused.

use crate::task::TaskStatus;

/// Why a task is left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("refused of a task in status {found:?}: {reason:?}")]
pub struct Refusal {
    /// The status that the task is in.
    pub found: TaskStatus,
    /// What stands in the way.
    pub reason: RefusalReason,
}

/// What stands in the way of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// The status alone.
    Status,
    /// The task was started again since, or the attempt is another credential's.
    Superseded,
    /// The attempt is over.
    AttemptOver,
    /// The task has ended.
    Ended,
    /// The task is no batch import.
    NotABatchImport,
    /// Rows are missing before the first: it must be this position.
    Gap {
        /// The number of rows so far.
        next: u64,
    },
}
