//! What a batch import has done.

/// The counts of a batch import's current or last attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportCounts {
    /// The users that were imported.
    pub succeeded: u64,
    /// The users that were not.
    pub failed: u64,
}

/// A user that was not imported.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImportFailure {
    /// The user's name, as in what was imported.
    pub user_name: String,
    /// What was wrong.
    pub description: String,
}

/// What a batch import has done so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportResult {
    /// How many users.
    pub counts: ImportCounts,
    /// The first of those that were not imported, and why; at most
    /// [`ImportResult::MAX_FAILURES`].
    pub failures: Vec<ImportFailure>,
}

impl ImportResult {
    /// The most failures that a result carries; all of them are read in pages.
    pub const MAX_FAILURES: u32 = 1000;
}
