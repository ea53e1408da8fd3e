//! A clock that stands still until a test moves it.

use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use kootask::task::clock::Clock;

/// The moment at which a [`TestClock`] starts.
pub const START: &str = "2025-11-03T07:01:40Z";

/// A clock in the hand of a test.
pub struct TestClock(Mutex<Timestamp>);

impl TestClock {
    /// A clock that shows [`START`].
    pub fn new() -> Arc<Self> {
        Self::at(START)
    }

    /// A clock that shows this moment.
    pub fn at(moment: &str) -> Arc<Self> {
        Arc::new(Self(Mutex::new(moment.parse().unwrap())))
    }

    pub fn advance(&self, by: SignedDuration) {
        let mut now = self.0.lock().unwrap();
        *now = now.checked_add(by).unwrap();
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}
