//! Attempts to execute a task: who makes one, and how each ended.
//!
//! Contract: `worker.md`.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::{Identifier, ResultCode};

/// How often a task was started. It rises with each start, and a report is
/// believed only with the fence of the attempt that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Fence(u32);

impl Fence {
    /// The fence with this number; 0 is that of a task that was never started.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number of starts.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// That of the next start.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// How long beyond what was promised a lease stands: what a report may be under
/// way (`worker.md`).
pub const GRACE: Duration = Duration::from_secs(5);

/// A worker's claim to a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The request that claimed it. The same again gets the same tasks.
    pub claim_id: Uuid,
    /// The worker, by the name that it gives itself.
    pub worker: Identifier,
    /// The name of the credential that it claimed with.
    pub holder: Identifier,
    /// For how long the task is promised to it, 10 s to an hour, from the claim
    /// and again from each heartbeat.
    pub lease: Duration,
}

/// The attempt that runs or, of a task that does not, the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// By whom, and under which lease.
    pub claim: Claim,
    /// When it began.
    pub started_at: Timestamp,
    /// When its progress was last written.
    pub progress_at: Option<Timestamp>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptEnd {
    /// The task was done.
    Succeeded,
    /// The worker reported a failure.
    Failed,
    /// The worker gave the task back; not counted.
    Released,
    /// The lease ended: nothing more was heard of the worker, or the attempt took
    /// longer than an attempt may.
    Lost,
}

/// An attempt that ended; kept for good, unless it succeeded: then the task
/// itself tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedAttempt {
    /// Which start of the task it was, from 1.
    pub fence: Fence,
    /// The worker, by the name that it gave itself.
    pub worker: Identifier,
    /// The name of the credential that it claimed with.
    pub holder: Identifier,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How it ended.
    pub end: AttemptEnd,
    /// The code that the worker reported.
    pub code: Option<ResultCode>,
}

/// Who asked for something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The name of the credential; `None` where none was required.
    pub credential: Option<Identifier>,
    /// The user it acted as.
    pub user_id: Identifier,
}

/// What a tenant can do to a task's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActionKind {
    /// The task shall not be started, or shall stop.
    Cancel,
    /// A failed task shall be tried again.
    Retry,
}

/// Something that a tenant did to a task's life; kept for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// What.
    pub kind: ActionKind,
    /// By whom.
    pub actor: Actor,
    /// When.
    pub at: Timestamp,
}

/// What happened to a task.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// The attempts that ended without success, oldest first.
    pub attempts: Vec<EndedAttempt>,
    /// What was done to it, oldest first.
    pub actions: Vec<Action>,
}
