//! The bounded queue before a writer: where concurrent writes meet to share a
//! commit.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::task::repository::StoreError;

/// The most writes that wait.
const CAPACITY: usize = 8192;
/// The most writes in one commit: bounds how long the others wait for it.
const BATCH: usize = 1024;

/// A write that waits for its commit: what shall be done, and where its outcome
/// `D` is awaited.
pub(super) struct Job<W, D> {
    pub(super) work: W,
    answer: oneshot::Sender<Result<D, StoreError>>,
}

/// The outcome of a [`Job`] that is yet to come.
pub(super) struct Pending<D>(oneshot::Receiver<Result<D, StoreError>>);

/// The queue, of work `W` with outcomes `D`.
pub(super) struct Queue<W, D> {
    state: Mutex<State<W, D>>,
}

struct State<W, D> {
    jobs: Vec<Job<W, D>>,
    closed: bool,
    /// The writer sleeps until something comes.
    asleep: Option<Waker>,
}

impl<W, D> Job<W, D> {
    /// Whether somebody waits for the outcome. Who no longer does was told that
    /// the write failed.
    pub(super) fn is_awaited(&self) -> bool {
        !self.answer.is_closed()
    }
}

impl<W, D> Job<W, D> {
    /// Ends the job with what `make` makes of its work.
    pub(super) fn answer_with(self, make: impl FnOnce(W) -> D) {
        let _ = self.answer.send(Ok(make(self.work)));
    }
}

impl<D> Pending<D> {
    /// Waits for the commit of the write.
    pub(super) async fn committed(self) -> Result<D, StoreError> {
        // The writer drops an answer only when it ends.
        self.0.await.unwrap_or(Err(StoreError::Closed))
    }
}

/// Tells of each job, in order, what became of it.
pub(super) fn answer<W, D>(jobs: Vec<Job<W, D>>, done: Vec<D>) {
    for (job, done) in jobs.into_iter().zip(done) {
        // Whoever left does not want to know.
        let _ = job.answer.send(Ok(done));
    }
}

/// Tells of each job that its commit failed.
pub(super) fn fail<W, D>(jobs: Vec<Job<W, D>>, error: &StoreError) {
    tracing::error!(requests = jobs.len(), error = %error, "the commit failed");
    for job in jobs {
        let _ = job.answer.send(Err(error.clone()));
    }
}

impl<W, D> Default for Queue<W, D> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                jobs: Vec::new(),
                closed: false,
                asleep: None,
            }),
        }
    }
}

impl<W, D> Queue<W, D> {
    fn state(&self) -> MutexGuard<'_, State<W, D>> {
        // No code panics while it holds the lock half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in the work that `make` makes. No other comes between: when `make`
    /// draws an id, the queue's order is that of the ids.
    pub(super) fn push_with<E: From<StoreError>>(
        &self,
        make: impl FnOnce() -> Result<W, E>,
    ) -> Result<Pending<D>, E> {
        // Not while others wait for the lock.
        let (answer, answered) = oneshot::channel();
        let mut state = self.state();
        if state.closed {
            return Err(StoreError::Closed.into());
        }
        if state.jobs.len() >= CAPACITY {
            return Err(StoreError::Overloaded.into());
        }
        let work = make()?;
        state.jobs.push(Job { work, answer });
        if let Some(writer) = state.asleep.take() {
            writer.wake();
        }
        Ok(Pending(answered))
    }

    fn poll_take(&self, context: &Context<'_>) -> Poll<Option<Vec<Job<W, D>>>> {
        let mut state = self.state();
        if state.jobs.is_empty() {
            if state.closed {
                return Poll::Ready(None);
            }
            state.asleep = Some(context.waker().clone());
            return Poll::Pending;
        }
        let batch = state.jobs.len().min(BATCH);
        let rest = state.jobs.split_off(batch);
        Poll::Ready(Some(std::mem::replace(&mut state.jobs, rest)))
    }

    /// The next batch, in order, for the one writer. `None` when the queue is
    /// closed and drained.
    ///
    /// Cancel safe: a batch is taken only by the poll that returns it.
    pub(super) async fn take(&self) -> Option<Vec<Job<W, D>>> {
        poll_fn(|context| self.poll_take(context)).await
    }

    /// As [`Queue::take`], for a writer that is a thread: a batch is empty after
    /// `idle` without any.
    pub(super) fn take_within(&self, idle: Duration) -> Option<Vec<Job<W, D>>> {
        let asked = Instant::now();
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(batch) = self.poll_take(&context) {
                return batch;
            }
            match idle.checked_sub(asked.elapsed()) {
                Some(rest) if !rest.is_zero() => thread::park_timeout(rest),
                _ => return Some(Vec::new()),
            }
        }
    }

    /// Takes no more; what waits is still handed out.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        if let Some(writer) = state.asleep.take() {
            writer.wake();
        }
    }
}

/// Wakes a thread that is parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Closes the queue when its writer ends, however it ends: requests are then
/// refused and not left to wait.
pub(super) struct CloseOnDrop<'a, W, D>(pub(super) &'a Queue<W, D>);

impl<W, D> Drop for CloseOnDrop<'_, W, D> {
    fn drop(&mut self) {
        self.0.close();
        while self.0.take_within(Duration::ZERO).is_some() {}
    }
}
