//! A tenant of the stand-in: its clock, its rules and what its tasks are about to
//! do are its own.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::clock::TenantClock;
use super::rules::Rules;
use super::world::{World, node_of};
use crate::task::TenantId;

/// A tenant.
pub(super) struct Tenant {
    id: TenantId,
    node: u16,
    clock: Mutex<TenantClock>,
    rules: Mutex<Rules>,
    epoch: Mutex<Epoch>,
    used: Mutex<Instant>,
    /// Held as long as its tasks are planned or moved.
    pub(super) world: tokio::sync::Mutex<World>,
    /// Shared by the creates that are under way; locked before the world.
    pub(super) births: tokio::sync::RwLock<()>,
}

/// The time between two resets.
#[derive(Debug, Clone)]
pub(super) struct Epoch {
    /// How many there were, from 1.
    pub number: u64,
    /// How many resets there had been of all tenants, with the one that began it.
    pub(super) mark: u64,
    /// Cancelled when it ends.
    pub end: CancellationToken,
}

impl Tenant {
    /// A tenant of whom nothing is known yet.
    #[must_use]
    pub(super) fn new(
        id: TenantId,
        clock: TenantClock,
        rules: Rules,
        stop: &CancellationToken,
    ) -> Self {
        Self {
            node: node_of(&id),
            id,
            clock: Mutex::new(clock),
            rules: Mutex::new(rules),
            epoch: Mutex::new(Epoch {
                number: 1,
                mark: 0,
                end: stop.child_token(),
            }),
            used: Mutex::new(Instant::now()),
            world: tokio::sync::Mutex::default(),
            births: tokio::sync::RwLock::default(),
        }
    }

    /// Its name.
    #[must_use]
    pub(super) const fn id(&self) -> &TenantId {
        &self.id
    }

    /// The node of its ids.
    #[must_use]
    pub(super) const fn node(&self) -> u16 {
        self.node
    }

    /// Its clock.
    pub(super) fn clock(&self) -> MutexGuard<'_, TenantClock> {
        locked(&self.clock)
    }

    /// What its clock shows when the wall clock shows this.
    #[must_use]
    pub(super) fn now(&self, wall: Timestamp) -> Timestamp {
        self.clock().now(wall)
    }

    /// Its rules.
    pub(super) fn rules(&self) -> MutexGuard<'_, Rules> {
        locked(&self.rules)
    }

    /// The time since its last reset.
    #[must_use]
    pub(super) fn epoch(&self) -> Epoch {
        locked(&self.epoch).clone()
    }

    /// Ends an epoch and with it all that waits; the number of the next.
    pub(super) fn begin_epoch(&self, stop: &CancellationToken, mark: u64) -> u64 {
        let mut epoch = locked(&self.epoch);
        epoch.end.cancel();
        *epoch = Epoch {
            number: epoch.number.saturating_add(1),
            mark,
            end: stop.child_token(),
        };
        epoch.number
    }

    /// Notes that somebody uses it.
    pub(super) fn touch(&self) {
        *locked(&self.used) = Instant::now();
    }

    /// When it was used last.
    #[must_use]
    pub(super) fn last_used(&self) -> Instant {
        *locked(&self.used)
    }
}

/// No code panics while it holds one of these half-changed.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
