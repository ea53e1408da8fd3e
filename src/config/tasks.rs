//! `[tasks]`: how often a task is tried, and for how long.

use std::time::Duration;

use super::section::section;
use crate::task::retry::RetryPolicy;

section! {
    /// How often a task is tried, and for how long.
    pub struct TasksConfig {
        /// The most attempts at a task that count: those whose worker failed or was
        /// lost. The task has failed after the last of them.
        #[default(5)]
        #[range(1, 1000)]
        pub max_attempts: u16,

        /// The longest that an attempt may take, however regularly its worker says
        /// that it is still at it.
        #[default("24h")]
        #[range("1m", "720h")]
        pub attempt_timeout: Duration,
    }
}

impl TasksConfig {
    /// The limits of attempts.
    #[must_use]
    pub const fn policy(&self) -> RetryPolicy {
        RetryPolicy {
            max_attempts: self.max_attempts as u32,
            attempt_timeout: self.attempt_timeout,
        }
    }
}
