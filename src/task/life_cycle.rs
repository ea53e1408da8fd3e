//! The life of a task, written once: every command, in every status.
//!
//! ```text
//! NEW ──claim──> EXECUTING ──complete──> SUCCESS
//!                 │  ▲   └──fail, lease ends──> FAILED
//!                 ▼  │claim                       │retry
//!                WAITING <────────────────────────┘
//! ```
//!
//! Contract: `worker.md`, "States" and "Laws".

mod command;
mod effects;
#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    reason = "the tests count seconds, and may panic"
)]
pub(crate) mod laws;
mod refusal;

use std::time::Duration;

use jiff::Timestamp;

use super::attempt::{ActionKind, Actor, Attempt, AttemptEnd, Claim, EndedAttempt, Fence, GRACE};
use super::import::{ImportCounts, ImportFailure};
use super::retry::Backoff;
use super::{ResultCode, Task, TaskStatus, TaskType};

pub use self::command::{Command, Report, Step};
pub use self::effects::{Effects, LeaseChange, NewFailures};
pub use self::refusal::{Refusal, RefusalReason};

/// How long a task that was given back waits.
const RELEASE_DELAY: Duration = Duration::from_secs(1);
/// How often an attempt's progress is written at most.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// What an attempt that ends leaves the task as.
enum Ending {
    Success,
    Failed(ResultCode),
    Waiting(Duration),
}

impl Task {
    /// Applies a command at `at`, to the millisecond; what else is to be written.
    ///
    /// # Errors
    ///
    /// [`Refusal`]; the task is unchanged then.
    pub fn apply(&mut self, command: &Command, at: Timestamp) -> Result<Effects, Refusal> {
        let at = Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at);
        match command {
            Command::Claim { claim, timeout } => self.claim(claim, *timeout, at),
            Command::Heartbeat {
                report,
                counts,
                timeout,
            } => self.heartbeat(report, *counts, *timeout, at),
            Command::Complete { report, counts } => self.complete(report, *counts, at),
            Command::Fail {
                report,
                code,
                retry,
            } => self.fail(report, *code, *retry, at),
            Command::Release(report) => self.release(report, at),
            Command::RecordFailures { report, from, rows } => {
                self.record_failures(report, *from, rows)
            }
            Command::LoseLease { fence, retry } => self.lose_lease(*fence, *retry, at),
            Command::Cancel(actor) => self.cancel(actor, at),
            Command::Retry(actor) => self.retry(actor, at),
            Command::Step(step) => self.step(*step, at),
            Command::StepAt(step, due) => self.step(*step, *due),
        }
    }

    fn claim(
        &mut self,
        claim: &Claim,
        timeout: Duration,
        at: Timestamp,
    ) -> Result<Effects, Refusal> {
        let is_due = match self.status {
            TaskStatus::New => true,
            TaskStatus::Waiting => self.due_at.is_none_or(|due| due <= at),
            _ => false,
        };
        if !is_due {
            return Err(self.refusal(RefusalReason::Status));
        }
        self.start(at);
        self.attempt = Some(Attempt {
            claim: claim.clone(),
            started_at: at,
            progress_at: None,
        });
        Ok(Effects {
            changed: true,
            lease: LeaseChange::For(claim.lease.saturating_add(GRACE).min(timeout)),
            ..Effects::default()
        })
    }

    fn start(&mut self, at: Timestamp) {
        self.status = TaskStatus::Executing;
        self.started_at = Some(at);
        self.due_at = None;
        self.fence = self.fence.next();
        self.attempts_counted = self.attempts_counted.saturating_add(1);
        // Another attempt begins from the start.
        self.counts = ImportCounts::default();
        self.failure_rows = 0;
        self.attempt = None;
    }

    fn heartbeat(
        &mut self,
        report: &Report,
        counts: Option<ImportCounts>,
        timeout: Duration,
        at: Timestamp,
    ) -> Result<Effects, Refusal> {
        self.running(report)?;
        let Some(attempt) = &mut self.attempt else {
            return Err(self.refusal(RefusalReason::Superseded));
        };
        let left = timeout.saturating_sub(since(attempt.started_at, at));
        let lease = attempt.claim.lease.saturating_add(GRACE);
        if left < lease {
            // A whole lease, which the answer would promise, does not fit any more: the
            // attempt ends when the lease that it has does.
            return Err(self.refusal(RefusalReason::AttemptOver));
        }
        let is_due = attempt
            .progress_at
            .is_none_or(|last| since(last, at) >= PROGRESS_INTERVAL);
        let changed = match counts {
            Some(counts) if counts != self.counts && is_due => {
                attempt.progress_at = Some(at);
                self.counts = counts;
                true
            }
            _ => false,
        };
        Ok(Effects {
            changed,
            lease: LeaseChange::For(lease),
            ..Effects::default()
        })
    }

    fn complete(
        &mut self,
        report: &Report,
        counts: Option<ImportCounts>,
        at: Timestamp,
    ) -> Result<Effects, Refusal> {
        if self.status == TaskStatus::Success && self.is_last(report) {
            return Ok(Effects::default());
        }
        self.running(report)?;
        if let Some(counts) = counts {
            self.counts = counts;
        }
        Ok(self.end_attempt(AttemptEnd::Succeeded, None, Ending::Success, at))
    }

    fn fail(
        &mut self,
        report: &Report,
        code: Option<ResultCode>,
        retry: Option<Backoff>,
        at: Timestamp,
    ) -> Result<Effects, Refusal> {
        if self.status == TaskStatus::Failed && self.is_last(report) {
            return Ok(Effects::default());
        }
        self.running(report)?;
        let ending = match retry {
            Some(_) if self.cancel_requested => Ending::Failed(ResultCode::CANCELLED_BY_WORKER),
            Some(backoff) => self.next_try(backoff),
            None => Ending::Failed(code.unwrap_or(ResultCode::FAILED_WITHOUT_CODE)),
        };
        Ok(self.end_attempt(AttemptEnd::Failed, code, ending, at))
    }

    fn release(&mut self, report: &Report, at: Timestamp) -> Result<Effects, Refusal> {
        self.running(report)?;
        let ending = if self.cancel_requested {
            Ending::Failed(ResultCode::CANCELLED_BY_WORKER)
        } else {
            self.attempts_counted = self.attempts_counted.saturating_sub(1);
            Ending::Waiting(RELEASE_DELAY)
        };
        Ok(self.end_attempt(AttemptEnd::Released, None, ending, at))
    }

    fn lose_lease(
        &mut self,
        fence: Fence,
        retry: Backoff,
        at: Timestamp,
    ) -> Result<Effects, Refusal> {
        if self.status != TaskStatus::Executing || self.fence != fence || self.attempt.is_none() {
            return Err(self.refusal(RefusalReason::Superseded));
        }
        let ending = if self.cancel_requested {
            Ending::Failed(ResultCode::CANCELLED_WORKER_LOST)
        } else {
            self.next_try(retry)
        };
        Ok(self.end_attempt(AttemptEnd::Lost, None, ending, at))
    }

    fn record_failures(
        &mut self,
        report: &Report,
        from: u64,
        rows: &[ImportFailure],
    ) -> Result<Effects, Refusal> {
        self.running(report)?;
        if self.parameters.task_type() != TaskType::BatchImport {
            return Err(self.refusal(RefusalReason::NotABatchImport));
        }
        let Some(known) = self.failure_rows.checked_sub(from) else {
            return Err(self.refusal(RefusalReason::Gap {
                next: self.failure_rows,
            }));
        };
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        let new = rows.get(known..).unwrap_or_default();
        if new.is_empty() {
            return Ok(Effects::default());
        }
        let first = self.failure_rows;
        self.failure_rows = first.saturating_add(new.len() as u64);
        self.counts.failed = self.counts.failed.max(self.failure_rows);
        Ok(Effects {
            changed: true,
            failures: Some(NewFailures {
                fence: self.fence,
                first,
                rows: new.to_vec(),
            }),
            ..Effects::default()
        })
    }

    fn cancel(&mut self, actor: &Actor, at: Timestamp) -> Result<Effects, Refusal> {
        match self.status {
            TaskStatus::New | TaskStatus::Waiting => {
                self.end(Ending::Failed(ResultCode::CANCELLED_BEFORE_START), at);
            }
            TaskStatus::Executing if self.cancel_requested => return Ok(Effects::default()),
            TaskStatus::Executing => {}
            TaskStatus::Failed if self.cancel_requested => return Ok(Effects::default()),
            TaskStatus::Success | TaskStatus::Failed => {
                return Err(self.refusal(RefusalReason::Ended));
            }
        }
        self.cancel_requested = true;
        Ok(Effects::of_action(ActionKind::Cancel, actor, at))
    }

    fn retry(&mut self, actor: &Actor, at: Timestamp) -> Result<Effects, Refusal> {
        if self.status != TaskStatus::Failed {
            return Err(self.refusal(RefusalReason::Status));
        }
        self.status = TaskStatus::Waiting;
        self.result_code = None;
        self.started_at = None;
        self.ended_at = None;
        self.due_at = Some(at);
        self.attempts_counted = 0;
        self.cancel_requested = false;
        Ok(Effects::of_action(ActionKind::Retry, actor, at))
    }

    fn step(&mut self, step: Step, at: Timestamp) -> Result<Effects, Refusal> {
        let is_import = self.parameters.task_type() == TaskType::BatchImport;
        let ending = match (self.status, step) {
            (TaskStatus::New | TaskStatus::Waiting, Step::Start) => {
                self.start(at);
                return Ok(Effects::of_change());
            }
            (TaskStatus::Executing, Step::Progress(counts)) if is_import => {
                self.counts = counts;
                return Ok(Effects::of_change());
            }
            (TaskStatus::Executing, Step::Succeed) => Ending::Success,
            (TaskStatus::Executing, Step::Fail(code)) => Ending::Failed(code),
            _ => return Err(self.refusal(RefusalReason::Status)),
        };
        let (end, code) = match step {
            Step::Fail(code) => (AttemptEnd::Failed, Some(code)),
            _ => (AttemptEnd::Succeeded, None),
        };
        Ok(self.end_attempt(end, code, ending, at))
    }

    /// Whether the task is due again after the failure of a counted attempt.
    fn next_try(&self, backoff: Backoff) -> Ending {
        if self.attempts_counted < backoff.max_attempts {
            Ending::Waiting(backoff.delay(self.attempts_counted))
        } else {
            Ending::Failed(ResultCode::ATTEMPTS_USED_UP)
        }
    }

    fn end_attempt(
        &mut self,
        end: AttemptEnd,
        code: Option<ResultCode>,
        ending: Ending,
        at: Timestamp,
    ) -> Effects {
        let ended = self
            .attempt
            .as_ref()
            // Of the one that succeeded the task itself tells.
            .filter(|_| end != AttemptEnd::Succeeded)
            .map(|attempt| EndedAttempt {
                fence: self.fence,
                worker: attempt.claim.worker.clone(),
                holder: attempt.claim.holder.clone(),
                started_at: attempt.started_at,
                ended_at: at,
                end,
                code,
            });
        self.end(ending, at);
        Effects {
            changed: true,
            lease: LeaseChange::Over,
            ended,
            ..Effects::default()
        }
    }

    fn end(&mut self, ending: Ending, at: Timestamp) {
        self.due_at = None;
        match ending {
            Ending::Success => {
                self.status = TaskStatus::Success;
                self.ended_at = Some(at);
            }
            Ending::Failed(code) => {
                self.status = TaskStatus::Failed;
                self.result_code = Some(code);
                self.ended_at = Some(at);
            }
            Ending::Waiting(delay) => {
                self.status = TaskStatus::Waiting;
                self.started_at = None;
                // To the millisecond, and no sooner.
                let millis = delay.as_nanos().div_ceil(1_000_000);
                let delay = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
                self.due_at = Some(at.checked_add(delay).unwrap_or(Timestamp::MAX));
            }
        }
    }

    /// Makes sure that the attempt that is spoken of runs.
    fn running(&self, report: &Report) -> Result<(), Refusal> {
        let reason = if self.status.has_ended() {
            RefusalReason::Ended
        } else if !self.is_last(report) {
            RefusalReason::Superseded
        } else if self.status == TaskStatus::Executing {
            return Ok(());
        } else {
            RefusalReason::AttemptOver
        };
        Err(self.refusal(reason))
    }

    /// Whether the attempt that is spoken of is the last one.
    fn is_last(&self, report: &Report) -> bool {
        let attempt = self.attempt.as_ref();
        self.fence == report.fence
            && attempt.is_some_and(|attempt| attempt.claim.holder == report.holder)
    }

    const fn refusal(&self, reason: RefusalReason) -> Refusal {
        Refusal {
            found: self.status,
            reason,
        }
    }
}

/// How much time has passed; none by a clock that stepped back.
fn since(earlier: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(earlier)).unwrap_or_default()
}
