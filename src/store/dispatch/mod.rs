//! Which task is given to whom: what may be started, leases, and who waits. For
//! a store whose writes one process makes.
//!
//! All of it is in memory. It follows what is written in a transaction while it
//! is written, and must be made anew when the transaction fails. What it has of
//! tasks is where to look: whether one may be started says the task itself.

mod leases;
mod ready;
mod waiters;
mod window;

use std::time::Duration;

use jiff::Timestamp;

use self::leases::{Key, Leases, key};
pub(super) use self::ready::DueRetry;
use self::ready::Ready;
pub(super) use self::waiters::{ClaimJob, Waiters};
use super::outlook::{Outlook, Standing};
use crate::task::attempt::{Attempt, GRACE};
use crate::task::claim::{ClaimError, ClaimRequest, MAX_LEASES};
use crate::task::life_cycle::{Command, LeaseChange, Report};
use crate::task::repository::ApplyError;
use crate::task::retry::RetryPolicy;
use crate::task::scope::Scope;
use crate::task::{Task, TaskId, TaskStatus, TaskType, TenantId};

/// The most ready tasks of a tenant and a type that are known, where others can
/// be read.
pub(super) const WINDOW: usize = 1024;
/// The most leases whose end is seen to with one commit.
const MOST_ENDS: usize = 1024;
/// The most tenants and types whose tasks are read with one commit before anybody wants
/// them.
const READ_AHEAD: usize = 16;
/// How often the clock is looked at while somebody waits: it may step.
const LOOK: Duration = Duration::from_secs(1);

/// The answer to a claim: the tasks, which may be none.
pub(super) type Claimed = Result<Vec<Task>, ClaimError>;

/// Where tasks are read and written.
pub(super) trait Storage {
    type Error;

    /// The tenant's first tasks of this type that were never started.
    fn fresh(&self, of: (&TenantId, TaskType), most: usize) -> Result<Vec<TaskId>, Self::Error>;

    /// The tenant's tasks of this type that are the first to be tried again.
    fn retries(&self, of: (&TenantId, TaskType), most: usize)
    -> Result<Vec<DueRetry>, Self::Error>;

    /// The tenant's task of this id.
    fn task(&self, tenant_id: &TenantId, id: TaskId) -> Result<Option<Task>, Self::Error>;

    /// Applies a command to a task.
    fn apply(
        &mut self,
        id: TaskId,
        scope: &Scope,
        command: &Command,
        at: Timestamp,
    ) -> Result<Result<Moved, ApplyError>, Self::Error>;
}

/// A task to which a command was applied.
pub(super) struct Moved {
    pub(super) task: Task,
    was: TaskStatus,
    /// Whether, and from when on, it might have been started before.
    was_ready: Option<DueRetry>,
    lease: LeaseChange,
}

impl Moved {
    /// What the task was before, and the task as it is.
    pub(super) fn new(
        was: TaskStatus,
        was_ready: Option<DueRetry>,
        task: Task,
        lease: LeaseChange,
    ) -> Self {
        Self {
            task,
            was,
            was_ready,
            lease,
        }
    }
}

/// From when on the task may be started, if it may at all.
pub(super) fn ready_from(task: &Task) -> Option<DueRetry> {
    match task.status {
        TaskStatus::New => Some((i64::MIN, task.id)),
        TaskStatus::Waiting => {
            let due = task.due_at.unwrap_or(Timestamp::MIN);
            Some((due.as_millisecond(), task.id))
        }
        TaskStatus::Executing | TaskStatus::Success | TaskStatus::Failed => None,
    }
}

/// What is known of all tasks that may be started or are held.
pub(super) struct Dispatch {
    ready: Ready,
    leases: Leases,
    policy: RetryPolicy,
    /// The leases that stand from the commit on: these count, but have no end
    /// yet.
    uncommitted: Vec<(Key, Duration)>,
    /// Since they were last taken: the type, and the status after.
    moves: Vec<(TaskType, TaskStatus)>,
}

impl Dispatch {
    /// Without any task. Of those of a tenant and a type at most `window` are
    /// known.
    pub(super) fn new(window: usize, policy: RetryPolicy) -> Self {
        Self {
            ready: Ready::new(window),
            leases: Leases::default(),
            policy,
            uncommitted: Vec::new(),
            moves: Vec::new(),
        }
    }

    /// Takes note that the storage has tasks of a tenant and a type.
    pub(super) fn add_unread(&mut self, of: (&TenantId, TaskType)) {
        self.ready.add_unread(of);
    }

    /// Gives a task that was held when the storage was opened a whole lease anew.
    pub(super) fn hold_again(&mut self, task: &Task, attempt: &Attempt, elapsed: Duration) {
        let lease = attempt.claim.lease.saturating_add(GRACE);
        let ends = elapsed.saturating_add(lease.min(self.policy.attempt_timeout));
        if self.leases.set(task, ends) {
            self.ready.count_lease(&task.tenant_id, true, i64::MIN);
        }
    }

    /// Takes note of a task that was created.
    pub(super) fn created(&mut self, of: (&TenantId, TaskType), id: TaskId, now: Timestamp) {
        self.ready.add_fresh(of, id, Ready::millis(now));
    }

    /// Takes note of what was done to a task; the task.
    pub(super) fn moved(&mut self, moved: Moved, now: Timestamp) -> Task {
        let now = Ready::millis(now);
        let Moved {
            task,
            was,
            was_ready,
            lease,
        } = moved;
        let of = (&task.tenant_id, task.parameters.task_type());
        if was != task.status {
            self.moves.push((of.1, task.status));
        }
        let is_ready = ready_from(&task);
        if was_ready != is_ready {
            if let Some(before) = was_ready {
                self.ready.remove(of, before, now);
            }
            match (task.status, is_ready) {
                (TaskStatus::New, _) => self.ready.add_fresh(of, task.id, now),
                (_, Some(retry)) => self.ready.add_retry(of, retry, now),
                (_, None) => {}
            }
        }
        match lease {
            LeaseChange::None => {}
            LeaseChange::For(lease) => {
                if self.leases.set(&task, Duration::MAX) {
                    self.ready.count_lease(&task.tenant_id, true, now);
                }
                self.uncommitted.push((key(&task), lease));
            }
            LeaseChange::Over => self.end_lease(&key(&task), now),
        }
        task
    }

    fn end_lease(&mut self, key: &Key, now: i64) {
        if self.leases.end(key).is_some() {
            self.ready.count_lease(&key.1, false, now);
        }
    }

    /// Lets the leases begin of which the transaction tells that was committed.
    pub(super) fn committed(&mut self, elapsed: Duration) {
        for (key, lease) in self.uncommitted.drain(..) {
            self.leases.move_end(&key, elapsed.saturating_add(lease));
        }
    }

    /// The changes of status since this was last asked.
    pub(super) fn take_moves(&mut self) -> Vec<(TaskType, TaskStatus)> {
        std::mem::take(&mut self.moves)
    }

    /// Ends the attempts whose lease has ended.
    pub(super) fn expire<S: Storage>(
        &mut self,
        storage: &mut S,
        elapsed: Duration,
        now: Timestamp,
    ) -> Result<(), S::Error> {
        for (key, fence) in self.leases.ended(elapsed, MOST_ENDS) {
            let command = Command::LoseLease {
                fence,
                retry: self.policy.backoff(Duration::ZERO),
            };
            match storage.apply(key.0, &Scope::tenant(key.1.clone()), &command, now)? {
                Ok(moved) => {
                    let task = self.moved(moved, now);
                    tracing::warn!(task_id = %task.id, status = ?task.status, "a lease ended");
                }
                // It is of an attempt that is over.
                Err(_) => self.end_lease(&key, Ready::millis(now)),
            }
        }
        Ok(())
    }

    /// Reads a share of what is still to be read, so that it is known what waits though
    /// nobody wants any.
    pub(super) fn read_ahead<S: Storage>(
        &mut self,
        storage: &S,
        now: Timestamp,
    ) -> Result<(), S::Error> {
        self.ready.read(storage, READ_AHEAD, Ready::millis(now))
    }

    /// What there is to be executed. What was not read yet is not in it.
    pub(super) fn outlook(&self, waiters: &Waiters) -> Outlook {
        TaskType::ALL.map(|task_type| Standing {
            task_type,
            since: self.ready.since(task_type),
            leases: self.leases.of_type(task_type),
            claims_waiting: waiters.of_type(task_type),
        })
    }

    /// Gives what there is to those who wait; what becomes of each, in order.
    pub(super) fn serve<S: Storage>(
        &mut self,
        waiters: &mut Waiters,
        storage: &mut S,
        elapsed: Duration,
        now: Timestamp,
    ) -> Result<Vec<Option<Claimed>>, S::Error> {
        waiters.try_each(elapsed, |request, is_new, must_answer| {
            self.ready.look(storage, Ready::millis(now))?;
            let ClaimRequest { claim, scope, .. } = request;
            let is_promising = is_new
                || self.ready.next(scope, Ready::millis(now)).is_some()
                || self.leases.has_claim(&claim.holder, claim.claim_id);
            let claimed = if is_promising {
                self.claim(request, storage, now)?
            } else {
                Ok(Vec::new())
            };
            let is_answer = must_answer || !matches!(&claimed, Ok(tasks) if tasks.is_empty());
            Ok(is_answer.then_some(claimed))
        })
    }

    fn claim<S: Storage>(
        &mut self,
        request: &ClaimRequest,
        storage: &mut S,
        now: Timestamp,
    ) -> Result<Claimed, S::Error> {
        let holder = &request.claim.holder;
        let mut tasks = Vec::new();
        let held = self.leases.of_claim(holder, request.claim.claim_id);
        for key in &held {
            tasks.extend(self.renew(key, storage, now)?);
        }
        if !held.is_empty() {
            return Ok(Ok(tasks));
        }
        let free = MAX_LEASES.saturating_sub(self.leases.count(holder));
        if free == 0 {
            return Ok(Err(ClaimError::TooManyLeases));
        }
        let command = Command::Claim {
            claim: request.claim.clone(),
            timeout: self.policy.attempt_timeout,
        };
        let most = free.min(usize::from(request.max));
        // Of those that cannot be started, which are damaged, it passes over few.
        for _ in 0..most.saturating_add(WINDOW) {
            if tasks.len() >= most {
                break;
            }
            self.ready.look(storage, Ready::millis(now))?;
            let Some((tenant_id, task_type, id)) =
                self.ready.next(&request.scope, Ready::millis(now))
            else {
                break;
            };
            self.ready.pop((&tenant_id, task_type), Ready::millis(now));
            let scope = Scope::tenant(tenant_id);
            if let Ok(moved) = storage.apply(id, &scope, &command, now)? {
                tasks.push(self.moved(moved, now));
            }
        }
        Ok(Ok(tasks))
    }

    /// A task that is held, for a whole lease from now on, if its attempt has the time.
    fn renew<S: Storage>(
        &mut self,
        (id, tenant_id): &Key,
        storage: &mut S,
        now: Timestamp,
    ) -> Result<Option<Task>, S::Error> {
        let Some(task) = storage.task(tenant_id, *id)? else {
            return Ok(None);
        };
        let Some(attempt) = task.attempt else {
            return Ok(None);
        };
        let heartbeat = Command::Heartbeat {
            report: Report {
                fence: task.fence,
                holder: attempt.claim.holder,
            },
            counts: None,
            timeout: self.policy.attempt_timeout,
        };
        let scope = Scope::tenant(tenant_id.clone());
        let applied = storage.apply(*id, &scope, &heartbeat, now)?;
        Ok(applied.ok().map(|moved| self.moved(moved, now)))
    }

    /// How long nothing is to be done unless something comes.
    pub(super) fn idle(&self, waiters: &Waiters, elapsed: Duration, now: Timestamp) -> Duration {
        let until =
            |end: Option<Duration>| end.map_or(Duration::MAX, |end| end.saturating_sub(elapsed));
        if self.ready.has_unread() {
            return Duration::ZERO;
        }
        let mut idle = until(self.leases.next_end());
        if let Some(end) = waiters.first_end() {
            idle = idle.min(until(Some(end)));
            if let Some(due) = self.ready.next_due() {
                let wait = due.saturating_sub(Ready::millis(now)).max(0);
                let wait = Duration::from_millis(wait.unsigned_abs());
                idle = idle.min(wait).min(LOOK);
            }
        }
        idle
    }
}
