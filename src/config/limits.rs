//! `[limits]`: what a caller may take of the service.

use std::num::NonZero;

use super::reading::Table;
use super::section::section;
use crate::auth::limits::Limits;

section! {
    /// What a caller may take of the service; workers are not limited by these. Read
    /// again while it runs, as the credentials are.
    pub struct LimitsConfig checked by refuse_burst_alone {
        /// The most requests a second of one credential, over time. Those beyond are
        /// answered 429, with Retry-After. Without it there is no such limit.
        #[example(100)]
        #[range(1, 1000000)]
        pub requests_per_second: Option<NonZero<u32>>,

        /// The most requests that one credential may make at once, after a pause. As
        /// many as requests_per_second if absent.
        #[example(200)]
        #[range(1, 1000000)]
        pub burst: Option<NonZero<u32>>,

        /// The most requests with a good credential that are worked on at a time.
        /// Those beyond are answered 503 at once. Without it there is no such limit.
        #[example(5000)]
        #[range(1, 1000000)]
        pub in_flight: Option<NonZero<u32>>,
    }
}

impl LimitsConfig {
    /// The limits, as they are enforced.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            requests_per_second: self.requests_per_second,
            burst: self.burst,
            in_flight: self.in_flight,
        }
    }
}

fn refuse_burst_alone(limits: &mut LimitsConfig, table: &mut Table<'_>) {
    if limits.burst.is_some() && limits.requests_per_second.is_none() {
        table.mistake("burst", "is of no use without requests_per_second");
    }
}
