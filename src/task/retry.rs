//! How often a task is tried, and how long is waited in between.
//!
//! Contract: `worker.md`, "States", Limits.

use std::time::Duration;

use rand::Rng as _;

/// The delay before the second try; it doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_secs(10);
/// The longest delay, before chance is added.
const LONGEST_DELAY: Duration = Duration::from_secs(3600);

/// The limits of attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The most attempts that are counted, from 1.
    pub max_attempts: u32,
    /// The longest that an attempt may take, heartbeats or not.
    pub attempt_timeout: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 5,
            attempt_timeout: Duration::from_secs(24 * 3600),
        }
    }
}

impl RetryPolicy {
    /// What a failure now has before it; chance is drawn here.
    #[must_use]
    pub fn backoff(&self, at_least: Duration) -> Backoff {
        Backoff {
            max_attempts: self.max_attempts,
            at_least,
            chance: rand::rng().random(),
        }
    }
}

/// What follows the failure of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The most attempts that are counted.
    pub max_attempts: u32,
    /// Not sooner than this after the failure.
    pub at_least: Duration,
    /// Of the half that chance may add, as many 65,535ths.
    pub chance: u16,
}

impl Backoff {
    /// How long after the failure of counted attempt `failed`, from 1, the next
    /// is due: min(10 s · 2^(failed − 1), 1 h) and up to half of that on top.
    #[must_use]
    pub fn delay(&self, failed: u32) -> Duration {
        let doublings = failed.saturating_sub(1).min(16);
        let delay = FIRST_DELAY
            .saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX))
            .min(LONGEST_DELAY);
        let on_top = delay.mul_f64(f64::from(self.chance) / f64::from(u16::MAX) / 2.0);
        delay.saturating_add(on_top).max(self.at_least)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_delay_doubles_to_an_hour_and_chance_adds_at_most_half(
            failed in 1_u32..100, chance: u16, asked in 0_u64..10_000
        ) {
            let at_least = Duration::from_secs(asked);
            let backoff = Backoff { max_attempts: 5, at_least, chance };
            let base = (10_u64 << failed.saturating_sub(1).min(20)).min(3600);
            let delay = backoff.delay(failed);
            prop_assert!(delay >= Duration::from_secs(base).max(at_least));
            prop_assert!(delay <= Duration::from_secs(base).mul_f64(1.5).max(at_least));
        }
    }
}
