//! The node of this instance: the ids that are made for it, and the lease that
//! is kept on it.

mod keeper;
mod lease;
#[cfg(test)]
mod simulation;
mod skew;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

pub(super) use self::keeper::LeaseKeeper;
use self::lease::{LEASE, Lease};
use crate::task::TaskId;
use crate::task::id::{IdError, IdGenerator};
use crate::task::repository::StoreError;

/// How long it can take until the node of an instance that is gone is free.
pub(super) const LONGEST_WAIT: Duration = LEASE.saturating_add(Duration::from_secs(2));

/// The ids of the node that this instance holds.
pub(super) struct NodeIds {
    state: watch::Sender<State>,
    /// Somebody needs an id, and there is none under the lease as it is.
    demand: Notify,
    /// No node but a certain one will do.
    is_fixed: bool,
    /// The clock is far behind the ids of the node.
    is_behind: AtomicBool,
}

#[derive(Default)]
struct State {
    held: Option<HeldNode>,
    /// Why the lease could not be renewed; nothing while it could.
    failure: Option<StoreError>,
}

/// A node that is held, as far as this instance can be sure of it.
#[derive(Clone)]
struct HeldNode {
    lease: Lease,
    ids: Arc<IdGenerator>,
    /// From then on it cannot be sure.
    sure_until: Instant,
}

/// Why there is no id now.
#[derive(Debug)]
pub(super) enum NoId {
    /// Try again after this time.
    Wait(Duration),
    /// The lease must be renewed first: see [`NodeIds::renewal`].
    Lease,
    /// There will be none soon.
    Store(StoreError),
}

impl From<StoreError> for NoId {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<IdError> for NoId {
    fn from(error: IdError) -> Self {
        match error {
            IdError::Wait(wait) => Self::Wait(wait),
            error @ IdError::ClockBehind(_) => Self::Store(error.into()),
        }
    }
}

impl NodeIds {
    fn new(is_fixed: bool) -> Self {
        Self {
            state: watch::Sender::default(),
            demand: Notify::new(),
            is_fixed,
            is_behind: AtomicBool::new(false),
        }
    }

    /// Whether the clock is far behind these ids, and those of another node would
    /// do.
    fn wants_another_node(&self, ids: &IdGenerator) -> bool {
        self.is_behind.swap(false, Ordering::Relaxed)
            && matches!(ids.next_id(), Err(IdError::ClockBehind(_)))
    }

    /// For how long from this moment on the lease is sure; nothing if it is not.
    pub(super) fn sure_for(&self, now: Instant) -> Option<Duration> {
        let state = self.state.borrow();
        let held = state.held.as_ref()?;
        let sure = held.sure_until.saturating_duration_since(now);
        (!sure.is_zero()).then_some(sure)
    }

    /// The next id, at this moment of the machine's monotonic clock.
    ///
    /// A process that is stopped within this function may go on when its lease is
    /// long over. What it returns then is still within the range of ids that was
    /// reserved for it.
    pub(super) fn next_id(&self, now: Instant) -> Result<TaskId, NoId> {
        let state = self.state.borrow();
        if let Some(held) = &state.held
            && now < held.sure_until
        {
            match held.ids.next_id() {
                Err(IdError::ClockBehind(_)) if !self.is_fixed => {
                    self.is_behind.store(true, Ordering::Relaxed);
                }
                id => {
                    let id = id?;
                    if id < held.lease.ids_below {
                        return Ok(id);
                    }
                }
            }
        }
        Err(match &state.failure {
            Some(failure) => NoId::Store(failure.clone()),
            None => NoId::Lease,
        })
    }

    /// Has the lease renewed, and waits until that was tried.
    pub(super) async fn renewal(&self) {
        // Before it is asked for: no change is missed.
        let mut changes = self.state.subscribe();
        self.demand.notify_one();
        // The sender is there as long as this is.
        let _ = changes.changed().await;
    }
}
