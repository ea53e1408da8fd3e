//! The state and what leads its tasks on, behind one lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::state::State;
use crate::store::dispatch::{Claimed, Dispatch, Moved, Waiters, ready_from};
use crate::store::outlook;
use crate::store::queue::{self, Pending};
use crate::task::claim::ClaimRequest;
use crate::task::clock::SharedClock;
use crate::task::health::Due;
use crate::task::life_cycle::{Command, LeaseChange};
use crate::task::observer::TaskObserver;
use crate::task::repository::{ApplyError, Gone, StoreError};
use crate::task::retry::RetryPolicy;
use crate::task::scope::Target;
use crate::task::{Task, TaskStatus};

/// How long at most the background sleeps.
const LOOK: Duration = Duration::from_secs(10);

/// What the store and its background share.
pub(super) struct Shared {
    clock: SharedClock,
    observer: Arc<dyn TaskObserver>,
    locked: Mutex<Locked>,
    /// Tells the background that something is due earlier than it knows.
    earlier: Notify,
}

/// What is behind the lock.
pub(super) struct Locked {
    pub(super) state: State,
    dispatch: Dispatch,
    waiters: Waiters,
    /// When the background looks next, by the clock's time that never steps.
    looks_at: Duration,
    closed: bool,
}

impl Shared {
    pub(super) fn new(
        clock: SharedClock,
        policy: RetryPolicy,
        observer: Arc<dyn TaskObserver>,
    ) -> Self {
        Self {
            clock,
            observer,
            locked: Mutex::new(Locked {
                state: State::default(),
                dispatch: Dispatch::new(usize::MAX, policy),
                waiters: Waiters::default(),
                looks_at: Duration::MAX,
                closed: false,
            }),
            earlier: Notify::new(),
        }
    }

    /// The state, unless the store is closed.
    pub(super) fn lock(&self) -> Result<MutexGuard<'_, Locked>, StoreError> {
        // No code panics while it holds the lock half-changed.
        let locked = self.locked.lock().unwrap_or_else(PoisonError::into_inner);
        if locked.closed {
            Err(StoreError::Closed)
        } else {
            Ok(locked)
        }
    }

    /// Keeps no more; who waits is told so.
    pub(super) fn close(&self) {
        if let Ok(mut locked) = self.lock() {
            locked.closed = true;
            locked.waiters = Waiters::default();
        }
    }

    /// Takes note of a task that is in the state now.
    pub(super) fn created(&self, locked: &mut Locked, task: Task) {
        let moved = Moved::new(task.status, None, task, LeaseChange::None);
        locked.dispatch.moved(moved, self.clock.now());
        self.follow(locked);
    }

    /// Takes note of tasks that are in the state no more.
    pub(super) fn removed(&self, locked: &mut Locked, gone: Vec<Task>) -> Gone {
        let note = |mut task: Task| {
            let was_ready = ready_from(&task);
            // As good as one that has ended.
            task.status = TaskStatus::Success;
            let moved = Moved::new(task.status, was_ready, task, LeaseChange::Over);
            let task = locked.dispatch.moved(moved, self.clock.now());
            (task.tenant_id, task.id)
        };
        gone.into_iter().map(note).collect()
    }

    /// What there is to be executed.
    pub(super) fn due(&self) -> Result<Vec<Due>, StoreError> {
        let Locked {
            dispatch, waiters, ..
        } = &*self.lock()?;
        Ok(outlook::due(dispatch.outlook(waiters), self.clock.now()))
    }

    pub(super) fn apply(&self, target: &Target, command: &Command) -> Result<Task, ApplyError> {
        let mut locked = self.lock()?;
        let now = self.clock.now();
        let moved = locked.state.apply(target, command, now)?;
        let task = locked.dispatch.moved(moved, now);
        self.follow(&mut locked);
        Ok(task)
    }

    pub(super) fn claim(&self, request: ClaimRequest) -> Result<Pending<Claimed>, StoreError> {
        let mut locked = self.lock()?;
        let (job, pending) = queue::job(request);
        locked.waiters.admit([job], self.clock.elapsed());
        self.follow(&mut locked);
        Ok(pending)
    }

    /// Has those who wait answered, and lets nobody wait for long from now on.
    pub(super) fn drain(&self) {
        if let Ok(mut locked) = self.lock() {
            locked.waiters.drain();
            self.follow(&mut locked);
        }
    }

    /// Does what follows from a change, and has the background look in time.
    fn follow(&self, locked: &mut Locked) {
        let next = self.settle(locked);
        if next < locked.looks_at {
            locked.looks_at = next;
            self.earlier.notify_one();
        }
    }

    /// Does what is due: leases begin and end, and who waits gets what there is.
    /// When the next is due.
    fn settle(&self, locked: &mut Locked) -> Duration {
        let (elapsed, now) = (self.clock.elapsed(), self.clock.now());
        let Locked {
            state,
            dispatch,
            waiters,
            ..
        } = locked;
        dispatch.committed(elapsed);
        let Ok(()) = dispatch.expire(state, elapsed, now);
        let Ok(answers) = dispatch.serve(waiters, state, elapsed, now);
        dispatch.committed(elapsed);
        for (task_type, to) in dispatch.take_moves() {
            self.observer.moved(task_type, to);
        }
        waiters.answer(answers);
        elapsed.saturating_add(dispatch.idle(waiters, elapsed, now))
    }

    /// Looks when something is due, for ever.
    pub(super) async fn lead_on(self: Arc<Self>) {
        loop {
            let sleep = {
                let Ok(mut locked) = self.lock() else { return };
                locked.looks_at = self.settle(&mut locked);
                locked.looks_at.saturating_sub(self.clock.elapsed())
            };
            tokio::select! {
                () = tokio::time::sleep(sleep.min(LOOK)) => {}
                () = self.earlier.notified() => {}
            }
        }
    }
}
