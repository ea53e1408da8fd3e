//! The bounded queue before the writer: where concurrent creates meet to share
//! a commit.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::store::{Created, StoreError};
use crate::task::id::IdGenerator;
use crate::task::idempotency::Idempotency;
use crate::task::{NewTask, TaskId};

/// The most creates that wait.
const CAPACITY: usize = 8192;
/// The most creates in one commit: bounds how long the others wait for it.
const BATCH: usize = 1024;

/// A create that waits for its commit.
pub(super) struct Job {
    pub(super) id: TaskId,
    pub(super) task: NewTask,
    pub(super) idempotency: Option<Idempotency>,
    pub(super) answer: oneshot::Sender<Result<Created, StoreError>>,
}

/// A create that has no id yet.
pub(super) struct Request {
    pub(super) task: NewTask,
    pub(super) idempotency: Option<Idempotency>,
    pub(super) answer: oneshot::Sender<Result<Created, StoreError>>,
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
    pub(super) fn push(
        &self,
        ids: &IdGenerator,
        request: &mut Option<Request>,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.closed {
            return Err(StoreError::Closed);
        }
        if state.jobs.len() >= CAPACITY {
            return Err(StoreError::Overloaded);
        }
        let id = ids.next_id()?;
        if let Some(Request {
            task,
            idempotency,
            answer,
        }) = request.take()
        {
            state.jobs.push(Job {
                id,
                task,
                idempotency,
                answer,
            });
        }
        if std::mem::take(&mut state.asleep) {
            self.filled.notify_one();
        }
        Ok(())
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
