//! The bounded queue before the writer: where concurrent writes meet to share a
//! commit.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::store::{Created, StoreError};
use crate::task::id::IdGenerator;
use crate::task::idempotency::Idempotency;
use crate::task::life_cycle::{InvalidTransition, Transition};
use crate::task::{NewTask, Task, TaskId};

/// The most writes that wait.
const CAPACITY: usize = 8192;
/// The most writes in one commit: bounds how long the others wait for it.
const BATCH: usize = 1024;

/// What a write that waits shall do.
pub(super) enum Work {
    /// Create this task.
    Create {
        id: TaskId,
        task: NewTask,
        idempotency: Option<Idempotency>,
    },
    /// Let a task take a step of its life.
    TakeStep { id: TaskId, step: Transition },
}

/// What became of a write, once it is committed.
pub(super) enum Done {
    Created(Created),
    /// The task after its step; none if there is no such task.
    Stepped(Result<Option<Task>, InvalidTransition>),
}

/// Where a write's outcome is awaited.
pub(super) type Answer = oneshot::Sender<Result<Done, StoreError>>;

/// A write that waits for its commit.
pub(super) struct Job {
    pub(super) work: Work,
    pub(super) answer: Answer,
}

/// A create that has no id yet.
pub(super) struct Request {
    pub(super) task: NewTask,
    pub(super) idempotency: Option<Idempotency>,
    pub(super) answer: Answer,
}

/// The queue.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    jobs: Vec<Job>,
    closed: bool,
    /// The writer sleeps until something comes.
    asleep: bool,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the request in, under the next id: the order of the queue is that
    /// of the ids. Leaves `request` where it is when there is no id for it now.
    pub(super) fn push_create(
        &self,
        ids: &IdGenerator,
        request: &mut Option<Request>,
    ) -> Result<(), StoreError> {
        let mut state = self.open_state()?;
        let id = ids.next_id()?;
        if let Some(Request {
            task,
            idempotency,
            answer,
        }) = request.take()
        {
            let work = Work::Create {
                id,
                task,
                idempotency,
            };
            self.append(&mut state, Job { work, answer });
        }
        Ok(())
    }

    /// Takes a write in that needs no id.
    pub(super) fn push(&self, job: Job) -> Result<(), StoreError> {
        let mut state = self.open_state()?;
        self.append(&mut state, job);
        Ok(())
    }

    /// The state, if there is room for one more.
    fn open_state(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.state();
        if state.closed {
            Err(StoreError::Closed)
        } else if state.jobs.len() >= CAPACITY {
            Err(StoreError::Overloaded)
        } else {
            Ok(state)
        }
    }

    fn append(&self, state: &mut State, job: Job) {
        state.jobs.push(job);
        if std::mem::take(&mut state.asleep) {
            self.filled.notify_one();
        }
    }

    /// The next batch, in order; empty after `idle` without any. `None` when
    /// the queue is closed and drained.
    pub(super) fn take(&self, idle: Duration) -> Option<Vec<Job>> {
        let mut state = self.state();
        if state.jobs.is_empty() && !state.closed {
            state.asleep = true;
            let waited = self
                .filled
                .wait_timeout_while(state, idle, |state| state.jobs.is_empty() && !state.closed);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.asleep = false;
        }
        if state.jobs.is_empty() {
            return if state.closed { None } else { Some(Vec::new()) };
        }
        let batch = state.jobs.len().min(BATCH);
        let rest = state.jobs.split_off(batch);
        Some(std::mem::replace(&mut state.jobs, rest))
    }

    /// Takes no more; what waits is still handed out.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.filled.notify_one();
    }
}
