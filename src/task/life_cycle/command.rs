//! What can happen to a task.

use std::time::Duration;

use jiff::Timestamp;

use crate::task::attempt::{Actor, Claim, Fence};
use crate::task::import::{ImportCounts, ImportFailure};
use crate::task::retry::Backoff;
use crate::task::{Identifier, ResultCode};

/// Something that shall happen to a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// An attempt begins.
    Claim {
        /// By whom, and under which lease.
        claim: Claim,
        /// The longest that the attempt may take.
        timeout: Duration,
    },
    /// The worker is still at it.
    Heartbeat {
        /// Which attempt.
        report: Report,
        /// How far it is, if it says so.
        counts: Option<ImportCounts>,
        /// The longest that the attempt may take.
        timeout: Duration,
    },
    /// The task is done.
    Complete {
        /// Which attempt.
        report: Report,
        /// What it did, if it says so.
        counts: Option<ImportCounts>,
    },
    /// The attempt failed.
    Fail {
        /// Which attempt.
        report: Report,
        /// Why, if it says so.
        code: Option<ResultCode>,
        /// Whether and when the task shall be tried again.
        retry: Option<Backoff>,
    },
    /// The worker gives the task back, uncounted.
    Release(Report),
    /// Users that the import could not take.
    RecordFailures {
        /// Which attempt.
        report: Report,
        /// The position of the first row, from 0.
        from: u64,
        /// The rows.
        rows: Vec<ImportFailure>,
    },
    /// The lease of the attempt with this fence ended. Of the store alone.
    LoseLease {
        /// Which attempt.
        fence: Fence,
        /// When the task shall be tried again.
        retry: Backoff,
    },
    /// The task shall not be started, or shall stop.
    Cancel(Actor),
    /// A failed task shall be tried again.
    Retry(Actor),
    /// A step without a worker and its lease: of a stand-in, or a program that
    /// embeds the service.
    Step(Step),
    /// The same, at the moment at which it was due: nobody need look then.
    StepAt(Step, Timestamp),
}

/// Which attempt a worker speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The attempt's fence.
    pub fence: Fence,
    /// The name of the worker's credential: none but the one that claimed the
    /// task is believed.
    pub holder: Identifier,
}

/// A step of a task's life that no worker takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Its execution begins.
    Start,
    /// A batch import has come this far.
    Progress(ImportCounts),
    /// It ends well.
    Succeed,
    /// It fails.
    Fail(ResultCode),
}
