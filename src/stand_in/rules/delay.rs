//! How late an answer is.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::stand_in::text::Text;

/// The longest delay.
const LONGEST_DELAY: SignedDuration = SignedDuration::from_hours(1);

/// What a normal distribution's 99th percentile is, in standard deviations.
const P99: f64 = 2.326_347_874_040_841;

/// How late an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a delay must be a time, as in \"2s\", or as in {\"median\": \"20ms\", \"p99\": \"2s\"}"
)]
pub enum Delay {
    /// Always so much.
    Fixed(Text<SignedDuration>),
    /// Drawn of a log-normal distribution.
    Drawn {
        /// Half of them are not later.
        median: Text<SignedDuration>,
        /// 99 of 100 are not later.
        p99: Text<SignedDuration>,
    },
}

impl Delay {
    /// How late the `number`-th answer of the rule is; the same in every run.
    #[must_use]
    pub fn of(self, number: u64) -> SignedDuration {
        let delay = match self {
            Self::Fixed(Text(delay)) => delay,
            Self::Drawn {
                median: Text(median),
                p99: Text(p99),
            } => {
                let (median, p99) = (median.as_secs_f64(), p99.as_secs_f64());
                let deviation = (p99.max(median) / median.max(f64::MIN_POSITIVE)).ln() / P99;
                let secs = median * (deviation * normal(number)).exp();
                SignedDuration::try_from_secs_f64(secs).unwrap_or(LONGEST_DELAY)
            }
        };
        delay.clamp(SignedDuration::ZERO, LONGEST_DELAY)
    }
}

/// The `number`-th of a fixed row of normally distributed numbers.
fn normal(number: u64) -> f64 {
    // The fractional parts of multiples of the golden ratio fill the unit
    // interval evenly; Box and Muller make them normal.
    let part = |factor: f64| (number as f64 * factor + 0.5).fract().max(1e-9);
    let (one, other) = (part(0.618_033_988_749_895), part(0.754_877_666_246_693));
    (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * other).cos()
}
