//! A clock that stands still until a test moves it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kootask::task::clock::{Clock, SystemClock};

/// The moment at which a [`TestClock`] starts.
pub const START: &str = "2025-11-03T07:01:40Z";

/// A clock in the hand of a test: time passes as the test says, beside the
/// machine's own.
pub struct TestClock {
    now: Mutex<Timestamp>,
    passed: Mutex<Duration>,
}

impl TestClock {
    /// A clock that shows [`START`].
    pub fn new() -> Arc<Self> {
        Self::at(START)
    }

    /// A clock that shows this moment.
    pub fn at(moment: &str) -> Arc<Self> {
        Arc::new(Self {
            now: Mutex::new(moment.parse().unwrap()),
            passed: Mutex::default(),
        })
    }

    pub fn advance(&self, by: SignedDuration) {
        let mut now = self.now.lock().unwrap();
        *now = now.checked_add(by).unwrap();
        *self.passed.lock().unwrap() += by.unsigned_abs();
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    fn elapsed(&self) -> Duration {
        SystemClock.elapsed() + *self.passed.lock().unwrap()
    }
}
