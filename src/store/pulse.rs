//! What a writer's commits tell of its storage.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::task::health::Check;
use crate::task::observer::TaskObserver;
use crate::task::{TaskStatus, TaskType};

/// How old a write may be before the storage counts as stuck.
const STUCK: Duration = Duration::from_secs(2);

/// What is known of a writer: whether it lives, and how its commits go.
pub(super) struct Pulse {
    observer: Arc<dyn TaskObserver>,
    state: Mutex<State>,
    /// The store ends; so may the writer.
    is_closing: AtomicBool,
    has_ended: AtomicBool,
}

#[derive(Default)]
struct State {
    commit: Option<Commit>,
    is_failing: bool,
}

/// A commit that is under way.
struct Commit {
    writes: usize,
    begun: Instant,
    /// When the oldest of its writes came.
    oldest: Instant,
}

impl Pulse {
    pub(super) fn new(observer: Arc<dyn TaskObserver>) -> Self {
        Self {
            observer,
            state: Mutex::default(),
            is_closing: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
        }
    }

    /// A commit of so many writes begins, the oldest of which came then.
    pub(super) fn begin(&self, writes: usize, oldest: Option<Instant>) {
        let begun = Instant::now();
        self.state().commit = Some(Commit {
            writes,
            begun,
            oldest: oldest.unwrap_or(begun),
        });
    }

    /// It succeeded.
    pub(super) fn committed(&self) {
        let mut state = self.state();
        state.is_failing = false;
        if let Some(commit) = state.commit.take()
            && commit.writes > 0
        {
            drop(state);
            self.observer
                .committed(commit.writes, commit.begun.elapsed());
        }
    }

    /// It was given up: another writer does it.
    pub(super) fn given_up(&self) {
        self.state().commit = None;
    }

    /// Tasks went over into these statuses.
    pub(super) fn moved(&self, moves: impl IntoIterator<Item = (TaskType, TaskStatus)>) {
        for (task_type, to) in moves {
            self.observer.moved(task_type, to);
        }
    }

    /// It failed.
    pub(super) fn failed(&self) {
        let mut state = self.state();
        state.is_failing = true;
        state.commit = None;
        drop(state);
        self.observer.commit_failed();
    }

    /// Whether the last commit failed.
    pub(super) fn is_failing(&self) -> bool {
        self.state().is_failing
    }

    /// The store is about to end its writer.
    pub(super) fn close(&self) {
        self.is_closing.store(true, Ordering::Release);
    }

    /// Notes the end of the writer, however it ends, when what this returns is
    /// dropped.
    pub(super) fn writer(&self) -> WriterLives<'_> {
        WriterLives(self)
    }

    /// Whether the writer goes on, or ended because it was told to.
    pub(super) fn is_alive(&self) -> bool {
        self.is_closing.load(Ordering::Acquire) || !self.has_ended.load(Ordering::Acquire)
    }

    /// Whether writes are committed, where the oldest that waits in the queue came
    /// then.
    pub(super) fn check(&self, oldest_queued: Option<Instant>) -> Check {
        if !self.is_alive() {
            return Check::Failing("the writer has ended");
        }
        let state = self.state();
        let oldest = state.commit.as_ref().map(|commit| commit.oldest);
        if state.is_failing {
            Check::Failing("the last commit failed")
        } else if oldest
            .into_iter()
            .chain(oldest_queued)
            .any(|since| since.elapsed() > STUCK)
        {
            Check::Failing("a write has waited for more than 2 s")
        } else {
            Check::Ok
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As long as this is there, the writer is.
pub(super) struct WriterLives<'a>(&'a Pulse);

impl Drop for WriterLives<'_> {
    fn drop(&mut self) {
        self.0.has_ended.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::observer::nobody;

    #[test]
    fn a_failed_commit_is_told_until_one_succeeds() {
        let pulse = Pulse::new(nobody());
        assert_eq!(pulse.check(None), Check::Ok);
        pulse.begin(1, None);
        pulse.failed();
        assert!(!pulse.check(None).is_ok() && pulse.is_alive());
        pulse.begin(0, None);
        pulse.committed();
        assert_eq!(pulse.check(None), Check::Ok);
    }

    #[test]
    fn a_write_that_is_old_is_told_whether_it_is_queued_or_being_committed() {
        let pulse = Pulse::new(nobody());
        let now = Instant::now();
        let long_ago = now.checked_sub(2 * STUCK).unwrap();
        assert!(pulse.check(Some(now)).is_ok());
        assert!(!pulse.check(Some(long_ago)).is_ok());
        pulse.begin(1, Some(long_ago));
        assert!(!pulse.check(None).is_ok());
        pulse.committed();
        assert!(pulse.check(None).is_ok());
    }

    #[test]
    fn a_writer_that_ends_by_itself_is_dead_and_one_that_was_told_to_is_not() {
        let (one, other) = (Pulse::new(nobody()), Pulse::new(nobody()));
        other.close();
        for pulse in [&one, &other] {
            drop(pulse.writer());
        }
        assert!(!one.is_alive() && !one.check(None).is_ok());
        assert!(other.is_alive());
    }
}
