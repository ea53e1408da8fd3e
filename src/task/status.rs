//! How far a task is.

/// The status of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskStatus {
    /// Created, never started.
    New,
    /// An attempt ended without an end of the task; another is due at a time.
    /// Ours: KooDrive's calls show it as NEW (`worker.md`, "States").
    Waiting,
    /// Being executed.
    Executing,
    /// Ended well.
    Success,
    /// Ended with a result code.
    Failed,
}

impl TaskStatus {
    /// Every status.
    pub const ALL: [Self; 5] = [
        Self::New,
        Self::Waiting,
        Self::Executing,
        Self::Success,
        Self::Failed,
    ];

    /// Whether the task has ended: only a retry changes it.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Success | Self::Failed)
    }
}
