//! The listener's clock: coarse, and read without asking the operating system.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A moment or a span, in units of [`Clock::TICK`].
pub(super) type Tick = u32;

/// Counts the sweeps.
#[derive(Debug)]
pub(super) struct Clock(AtomicU32);

impl Default for Clock {
    /// A clock that has just begun. No moment of it is 0.
    fn default() -> Self {
        Self(AtomicU32::new(1))
    }
}

impl Clock {
    /// The time from one sweep to the next.
    pub(super) const TICK: Duration = Duration::from_millis(500);
    /// How many periods are told apart.
    pub(super) const PERIODS: usize = 3;
    /// The length of a period. What an answer's bytes began in the period before
    /// the last is [overdue](Self::overdue_period).
    const PERIOD: Tick = 30;

    pub(super) fn now(&self) -> Tick {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn advance(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of the period at hand, below [`Clock::PERIODS`].
    pub(super) fn period(&self) -> usize {
        self.period_plus(0)
    }

    /// The number of the period that ended one to two periods ago: 15 to 30 s.
    pub(super) fn overdue_period(&self) -> usize {
        self.period_plus(1)
    }

    fn period_plus(&self, later: Tick) -> usize {
        let period = (self.now() / Self::PERIOD).wrapping_add(later);
        usize::try_from(period).unwrap_or_default() % Self::PERIODS
    }

    /// So many ticks are at least this long.
    pub(super) fn ticks(duration: Duration) -> Tick {
        let ticks = duration.as_millis().div_ceil(Self::TICK.as_millis());
        Tick::try_from(ticks).unwrap_or(Tick::MAX)
    }
}
