//! Requests a second, by credential.

use std::num::NonZero;
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::task::Identifier;

/// The most credentials whose rate is kept at a time. Further ones, which only an
/// issuer of tokens can make, share one.
const MOST_CREDENTIALS: usize = 65_536;

/// Who has a rate of its own. A name has at most 64 characters.
type Key = Option<Identifier>;

/// What each credential may do.
pub(super) struct Rate {
    limiter: RateLimiter<
        Key,
        HashMapStateStore<Key>,
        MonotonicClock,
        NoOpMiddleware<std::time::Instant>,
    >,
    most_credentials: usize,
}

impl Rate {
    /// So many requests a second, and `burst` after a pause.
    pub(super) fn new(requests_per_second: NonZero<u32>, burst: NonZero<u32>) -> Self {
        let quota = Quota::per_second(requests_per_second).allow_burst(burst);
        Self {
            limiter: RateLimiter::new(quota, HashMapStateStore::default(), MonotonicClock),
            most_credentials: MOST_CREDENTIALS,
        }
    }

    /// Counts a request; or how long this credential must wait before its next.
    pub(super) fn count(&self, credential: &Key) -> Result<(), Duration> {
        if self.limiter.len() >= self.most_credentials {
            self.limiter.retain_recent();
        }
        let is_full = self.limiter.len() >= self.most_credentials;
        let key = if is_full { &None } else { credential };
        self.limiter
            .check_key(key)
            .map_err(|until| until.wait_time_from(MonotonicClock.now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(requests_per_second: u32, burst: u32) -> Rate {
        let number = |number| NonZero::new(number).unwrap();
        Rate::new(number(requests_per_second), number(burst))
    }

    fn credential(name: &str) -> Key {
        Some(name.parse().unwrap())
    }

    #[test]
    fn one_credential_uses_up_its_own_rate_alone() {
        let rate = rate(1, 3);
        for _ in 0..3 {
            assert_eq!(rate.count(&credential("a")), Ok(()));
        }
        let wait = rate.count(&credential("a")).unwrap_err();
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
        assert_eq!(rate.count(&credential("b")), Ok(()));
        assert_eq!(rate.count(&None), Ok(()));
    }

    #[test]
    fn credentials_without_end_are_kept_within_a_bound() {
        let mut rate = rate(1, 2);
        rate.most_credentials = 100;
        let passed = (0..1000).filter(|number| {
            let name = credential(&format!("jwt-{number}"));
            rate.count(&name).is_ok()
        });
        assert!(passed.count() < 200);
        assert!(rate.limiter.len() <= 101);
    }
}
