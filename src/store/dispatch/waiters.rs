//! The claims that wait for a task, in the order they came.

use std::collections::VecDeque;
use std::time::Duration;

use super::Claimed;
use crate::store::queue::{self, Job};
use crate::task::TaskType;
use crate::task::claim::{ClaimError, ClaimRequest, LAST_WAIT};
use crate::task::repository::StoreError;

/// The most claims that wait.
const CAPACITY: usize = 4096;

/// A claim on its way to the store.
pub(in crate::store) type ClaimJob = Job<ClaimRequest, Claimed>;

/// Claims without an answer.
#[derive(Default)]
pub(in crate::store) struct Waiters {
    waiting: VecDeque<Waiter>,
    /// The longest that one waits, if there is a bound besides what it asks for.
    longest: Option<Duration>,
}

struct Waiter {
    job: ClaimJob,
    /// By the clock's [`elapsed`](crate::task::clock::Clock::elapsed).
    until: Duration,
    /// Nobody has looked yet whether there is something for it.
    is_new: bool,
}

impl Waiters {
    /// Takes in claims that arrived; one that is too many is refused.
    pub(in crate::store) fn admit(
        &mut self,
        jobs: impl IntoIterator<Item = ClaimJob>,
        elapsed: Duration,
    ) {
        for job in jobs {
            if self.waiting.len() >= CAPACITY {
                self.leave();
            }
            if self.waiting.len() >= CAPACITY {
                job.answer_with(|_| Err(ClaimError::Store(StoreError::Overloaded)));
                continue;
            }
            let wait = job.work.wait.min(self.longest.unwrap_or(Duration::MAX));
            self.waiting.push_back(Waiter {
                until: elapsed.saturating_add(wait),
                job,
                is_new: true,
            });
        }
    }

    /// Has all who wait answered at once, and lets nobody wait for long from now on.
    pub(in crate::store) fn drain(&mut self) {
        self.longest = Some(LAST_WAIT);
        for waiter in &mut self.waiting {
            waiter.until = Duration::ZERO;
        }
    }

    /// Lets those go whom nobody waits for any more.
    fn leave(&mut self) {
        self.waiting.retain(|waiter| waiter.job.is_awaited());
    }

    /// What becomes of each, in order: nothing yet, or the answer once it is
    /// committed. `claim` gets a request, whether it is new and whether it must
    /// be answered; those whom nobody waits for are left out and let go.
    pub(super) fn try_each<E>(
        &mut self,
        elapsed: Duration,
        mut claim: impl FnMut(&ClaimRequest, bool, bool) -> Result<Option<Claimed>, E>,
    ) -> Result<Vec<Option<Claimed>>, E> {
        self.leave();
        let answers = self.waiting.iter_mut().map(|waiter| {
            let is_new = std::mem::replace(&mut waiter.is_new, false);
            claim(&waiter.job.work, is_new, waiter.until <= elapsed)
        });
        answers.collect()
    }

    /// Gives those their answers who have one.
    pub(in crate::store) fn answer(&mut self, answers: Vec<Option<Claimed>>) {
        if answers.iter().all(Option::is_none) {
            return;
        }
        let waiting = std::mem::take(&mut self.waiting);
        for (waiter, answer) in waiting.into_iter().zip(answers) {
            match answer {
                Some(answer) => waiter.job.answer_with(|_| answer),
                None => self.waiting.push_back(waiter),
            }
        }
    }

    /// Tells all that the storage failed: what they would have got is unknown.
    pub(in crate::store) fn fail(&mut self, error: &StoreError) {
        let jobs = self.waiting.drain(..).map(|waiter| waiter.job);
        queue::fail(jobs.collect(), error);
    }

    /// How many would take a task of this type.
    pub(super) fn of_type(&self, task_type: TaskType) -> usize {
        let takes = |waiter: &&Waiter| {
            let scope = &waiter.job.work.scope;
            scope.task_types.contains(&task_type) && waiter.job.is_awaited()
        };
        self.waiting.iter().filter(takes).count()
    }

    /// Until when the first of them waits.
    pub(super) fn first_end(&self) -> Option<Duration> {
        self.waiting.iter().map(|waiter| waiter.until).min()
    }
}
