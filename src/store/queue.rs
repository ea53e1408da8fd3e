//! The bounded queue before a writer: where concurrent writes meet to share a
//! commit.
//!
//! A queue takes one kind of work and knows the one kind of its outcomes. A
//! writer that does several kinds has a queue of each, with one [`Wakeup`]: each
//! kind then has places of its own, which no other can take.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;
use tokio::sync::oneshot;

use crate::task::repository::StoreError;

/// The most writes that wait.
pub(super) const CAPACITY: usize = 8192;
/// The most writes in one commit, or rows where one write has several: bounds how
/// long the others wait for it.
const BATCH: usize = 1024;

/// A write that waits for its commit: what shall be done, and where its outcome
/// `D` is awaited.
pub(super) struct Job<W, D> {
    pub(super) work: W,
    answer: Answer<D>,
    since: Instant,
}

/// Where the outcome of a [`Job`] is told.
type Answer<D> = oneshot::Sender<Result<D, StoreError>>;

/// The outcome of a [`Job`] that is yet to come.
pub(super) struct Pending<D>(oneshot::Receiver<Result<D, StoreError>>);

/// The queue, of work `W` with outcomes `D`.
pub(super) struct Queue<W, D> {
    state: Mutex<State<W, D>>,
    wakeup: Wakeup,
    /// The rows of a write.
    rows: fn(&W) -> usize,
}

struct State<W, D> {
    jobs: Vec<Job<W, D>>,
    closed: bool,
}

impl<W, D> State<W, D> {
    /// Whether there is a free place.
    fn admits(&self) -> Result<(), StoreError> {
        if self.closed {
            Err(StoreError::Closed)
        } else if self.jobs.len() >= CAPACITY {
            Err(StoreError::Overloaded)
        } else {
            Ok(())
        }
    }
}

/// A free place in the queue, which nobody else takes, nor the one after it,
/// until it is taken or dropped: when an id is drawn meanwhile, the queue's order
/// is that of the ids.
pub(super) struct Place<'a, W, D> {
    state: MutexGuard<'a, State<W, D>>,
    wakeup: &'a Wakeup,
    pending: (Answer<D>, Pending<D>),
    since: Instant,
}

/// Wakes the writer when something comes.
#[derive(Clone, Default)]
pub(super) struct Wakeup(Arc<AtomicWaker>);

impl<W, D> Job<W, D> {
    /// Whether somebody waits for the outcome. Who no longer does was told that
    /// the write failed.
    pub(super) fn is_awaited(&self) -> bool {
        !self.answer.is_closed()
    }

    /// When it came.
    pub(super) const fn since(&self) -> Instant {
        self.since
    }

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

/// This work as a job of its own.
pub(super) fn job<W, D>(work: W) -> (Job<W, D>, Pending<D>) {
    let (answer, answered) = oneshot::channel();
    let since = Instant::now();
    let job = Job {
        work,
        answer,
        since,
    };
    (job, Pending(answered))
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
    if !jobs.is_empty() {
        tracing::error!(requests = jobs.len(), error = %error, "the commit failed");
    }
    refuse(jobs.into_iter(), error);
}

/// Tells of each job that it was not done.
pub(super) fn refuse<W, D>(jobs: impl Iterator<Item = Job<W, D>>, error: &StoreError) {
    for job in jobs {
        let _ = job.answer.send(Err(error.clone()));
    }
}

impl<W, D> Place<'_, W, D> {
    /// Takes it for this work.
    pub(super) fn take(mut self, work: W) -> Pending<D> {
        let (answer, pending) = self.pending;
        let since = self.since;
        self.state.jobs.push(Job {
            work,
            answer,
            since,
        });
        drop(self.state);
        self.wakeup.wake();
        pending
    }
}

impl<W, D> Default for Queue<W, D> {
    fn default() -> Self {
        Self::with(Wakeup::default())
    }
}

impl<W, D> Queue<W, D> {
    /// A queue that wakes its writer by this.
    pub(super) const fn with(wakeup: Wakeup) -> Self {
        Self {
            state: Mutex::new(State {
                jobs: Vec::new(),
                closed: false,
            }),
            wakeup,
            rows: |_| 1,
        }
    }

    /// The same, of writes that have so many rows each.
    pub(super) fn counted(self, rows: fn(&W) -> usize) -> Self {
        Self { rows, ..self }
    }

    fn state(&self) -> MutexGuard<'_, State<W, D>> {
        // No code panics while it holds the lock half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A free place.
    ///
    /// # Errors
    ///
    /// [`StoreError::Overloaded`] when all are taken, [`StoreError::Closed`].
    pub(super) fn place(&self) -> Result<Place<'_, W, D>, StoreError> {
        // Not while others wait for the lock.
        let (answer, answered) = oneshot::channel();
        let since = Instant::now();
        let state = self.state();
        state.admits()?;
        Ok(Place {
            state,
            wakeup: &self.wakeup,
            pending: (answer, Pending(answered)),
            since,
        })
    }

    /// Takes in a job of another queue, with its place in time; without a free place its
    /// work is refused.
    pub(super) fn pass(&self, job: Job<W, D>) {
        let mut state = self.state();
        match state.admits() {
            Ok(()) => state.jobs.push(job),
            Err(error) => return refuse([job].into_iter(), &error),
        }
        drop(state);
        self.wakeup.wake();
    }

    /// The next batch, in order, for the one writer; empty if there is nothing
    /// yet. `None` when the queue is closed and drained.
    pub(super) fn try_take(&self) -> Option<Vec<Job<W, D>>> {
        let mut state = self.state();
        if state.jobs.is_empty() && state.closed {
            return None;
        }
        let mut rows: usize = 0;
        let fits = state.jobs.iter().take_while(|job| {
            let is_first = rows == 0;
            rows = rows.saturating_add((self.rows)(&job.work).max(1));
            is_first || rows <= BATCH
        });
        let batch = fits.count();
        let rest = state.jobs.split_off(batch);
        Some(std::mem::replace(&mut state.jobs, rest))
    }

    /// As [`Queue::try_take`], but waits for something to come.
    ///
    /// Cancel safe: a batch is taken only by the poll that returns it.
    pub(super) async fn take(&self) -> Option<Vec<Job<W, D>>> {
        let ready = || match self.try_take() {
            Some(batch) if batch.is_empty() => None,
            taken => Some(taken),
        };
        poll_fn(|context| self.wakeup.poll(context, ready)).await
    }

    /// How many wait, and since when the oldest does.
    pub(super) fn waiting(&self) -> (usize, Option<Instant>) {
        let state = self.state();
        (state.jobs.len(), state.jobs.first().map(Job::since))
    }

    /// Takes no more; what waits is still handed out.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.wakeup.wake();
    }
}

impl Wakeup {
    pub(super) fn wake(&self) {
        self.0.wake();
    }

    /// What is ready, asked again after each wake-up.
    fn poll<T>(&self, context: &Context<'_>, ready: impl Fn() -> Option<T>) -> Poll<T> {
        if let Some(taken) = ready() {
            return Poll::Ready(taken);
        }
        self.0.register(context.waker());
        // What came in between has woken nobody.
        ready().map_or(Poll::Pending, Poll::Ready)
    }

    /// Waits for what is ready, for a writer that is a thread; `None` after
    /// `idle` without any.
    pub(super) fn wait<T>(&self, idle: Duration, ready: impl Fn() -> Option<T>) -> Option<T> {
        let asked = Instant::now();
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(taken) = self.poll(&context, &ready) {
                return Some(taken);
            }
            match idle.checked_sub(asked.elapsed()) {
                Some(rest) if !rest.is_zero() => thread::park_timeout(rest),
                _ => return None,
            }
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
        while self.0.try_take().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_bounded_by_its_rows_and_never_empty() {
        let queue: Queue<usize, ()> = Queue::default().counted(|rows| *rows);
        for rows in [5000, 1, 1000, 24, 0, 600, 600] {
            drop(queue.place().unwrap().take(rows));
        }
        let batch = || -> Vec<usize> {
            let jobs = queue.try_take().unwrap();
            jobs.iter().map(|job| job.work).collect()
        };
        assert_eq!(batch(), [5000]);
        assert_eq!(batch(), [1, 1000]);
        assert_eq!(batch(), [24, 0, 600]);
        assert_eq!(batch(), [600]);
        assert!(batch().is_empty());
    }
}
