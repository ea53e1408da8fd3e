//! When idempotency keys have expired, by a wall clock that may be wrong for a
//! while.
//!
//! A key stands for [`WINDOW`] of real time, and a task's id tells when its key
//! was used first, by the wall clock of that moment. So how far that clock is
//! ahead of the time that was lived through, counted in small steps, is kept for
//! as long as keys stand, and the least counts: a clock that jumps ahead is
//! followed once it has stayed there for a whole window. Time in which the
//! service is down is not lived through: keys then stand longer, never shorter.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::idempotency::WINDOW;

/// A clock that gains less than this is taken for one that did not, in
/// milliseconds.
const SLACK: i64 = 1_000;

/// How far the wall clock was ahead of the time lived through, both in
/// milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset {
    /// The time lived through when it was seen last.
    pub until: i64,
    /// The wall clock less the time lived through.
    pub millis: i64,
}

/// Tells when keys have expired.
#[derive(Debug)]
pub struct KeyExpiry {
    /// The offsets of a window, each greater than the one before it and seen
    /// later: the least of what was seen since any moment.
    offsets: VecDeque<Offset>,
    /// The time lived through at `resumed`.
    lived: i64,
    /// What the clock's [`elapsed`](super::clock::Clock::elapsed) was then.
    resumed: Duration,
}

impl KeyExpiry {
    /// Goes on from `offsets`, which were kept in their order, at this
    /// [`elapsed`](super::clock::Clock::elapsed) of the clock.
    #[must_use]
    pub fn resume(offsets: Vec<Offset>, elapsed: Duration) -> Self {
        Self {
            lived: offsets.iter().map(|offset| offset.until).max().unwrap_or(0),
            offsets: offsets.into(),
            resumed: elapsed,
        }
    }

    /// Sees both clocks; the time before which keys have expired.
    ///
    /// To be called before a key of an id that was drawn by now is kept, and
    /// every now and then.
    pub fn observe(&mut self, now: Timestamp, elapsed: Duration) -> Timestamp {
        let since = elapsed.saturating_sub(self.resumed).as_millis();
        let lived = self
            .lived
            .saturating_add(i64::try_from(since).unwrap_or(i64::MAX));
        let millis = now.as_millisecond().saturating_sub(lived);
        while self
            .offsets
            .pop_back_if(|last| last.millis > millis)
            .is_some()
        {}
        match self.offsets.back_mut() {
            Some(last) if millis < last.millis.saturating_add(SLACK) => last.until = lived,
            _ => self.offsets.push_back(Offset {
                until: lived,
                millis,
            }),
        }
        let window = i64::try_from(WINDOW.as_millis()).unwrap_or(i64::MAX);
        let first = lived.saturating_sub(window);
        while self
            .offsets
            .pop_front_if(|oldest| oldest.until < first)
            .is_some()
        {}
        let least = self.offsets.front().map_or(millis, |least| least.millis);
        Timestamp::from_millisecond(least.saturating_add(first)).unwrap_or(Timestamp::MIN)
    }

    /// What to keep for [`KeyExpiry::resume`].
    pub fn offsets(&self) -> impl ExactSizeIterator<Item = Offset> + '_ {
        self.offsets.iter().copied()
    }

    /// How far the wall clock is ahead of the one that keys expire by: next to
    /// nothing where it was right for a whole window.
    #[must_use]
    pub fn lag(&self) -> SignedDuration {
        let of = |offset: Option<&Offset>| offset.map_or(0, |offset| offset.millis);
        let (least, newest) = (of(self.offsets.front()), of(self.offsets.back()));
        SignedDuration::from_millis(newest.saturating_sub(least))
    }
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    reason = "the times of a test are far from any limit"
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_795_000_000_000;
    const HOUR: i64 = 3_600_000;
    const DAY: i64 = 24 * HOUR;

    #[test]
    fn a_steady_clock_expires_keys_after_a_window() {
        let mut expiry = KeyExpiry::resume(Vec::new(), Duration::ZERO);
        for hour in 0..100 {
            let now = Timestamp::from_millisecond(NOW + hour * HOUR).unwrap();
            let elapsed = Duration::from_millis((hour * HOUR).unsigned_abs());
            assert_eq!(expiry.observe(now, elapsed), now - WINDOW);
            assert_eq!(expiry.offsets().len(), 1);
        }
    }

    #[test]
    fn a_clock_that_stays_ahead_is_followed_after_a_window() {
        let mut expiry = KeyExpiry::resume(Vec::new(), Duration::ZERO);
        let mut at = |lived: i64, ahead: i64| {
            let now = Timestamp::from_millisecond(NOW + lived + ahead).unwrap();
            let elapsed = Duration::from_millis(lived.unsigned_abs());
            (now - WINDOW).as_millisecond() - expiry.observe(now, elapsed).as_millisecond()
        };
        assert_eq!(at(0, 0), 0);
        assert_eq!(at(HOUR, 25 * HOUR), 25 * HOUR);
        assert_eq!(at(DAY, 25 * HOUR), 25 * HOUR);
        assert_eq!(at(DAY + HOUR, 25 * HOUR), 0);
    }

    proptest! {
        /// Whatever the clock does, and however often and long the service is
        /// down: what was kept by the last commit is known again.
        #[test]
        fn no_key_expires_within_a_window_of_real_time(
            steps in proptest::collection::vec(
                (0..8 * HOUR, prop_oneof![4 => Just(0_i64), 1 => -40 * HOUR..40 * HOUR], 0_u8..5),
                1..60,
            )
        ) {
            let (mut real, mut wrong, mut started) = (0_i64, 0_i64, 0_i64);
            let mut expiry = KeyExpiry::resume(Vec::new(), Duration::ZERO);
            let mut keys: Vec<(i64, i64)> = Vec::new();
            for (passes, jumps, restart) in steps {
                real += passes;
                wrong += jumps;
                if restart == 0 {
                    expiry = KeyExpiry::resume(expiry.offsets().collect(), Duration::ZERO);
                    started = real;
                }
                let wall = NOW + real + wrong;
                let elapsed = Duration::from_millis((real - started).unsigned_abs());
                let first = expiry
                    .observe(Timestamp::from_millisecond(wall).unwrap(), elapsed)
                    .as_millisecond();
                for (used, id_time) in &keys {
                    prop_assert!(real - used > DAY || *id_time >= first);
                }
                keys.push((real, wall));
            }
        }
    }
}
