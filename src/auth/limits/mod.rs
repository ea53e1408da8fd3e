//! What one caller may take: requests a second, requests at a time, and its share
//! of the reads.
//!
//! All of it goes by the credential that was verified, and never by what a request
//! says of itself.

mod rate;
mod turns;

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::ArcSwap;
use http::Method;

use self::rate::Rate;
use self::turns::{Turn, Turns};
use crate::task::Identifier;
use crate::web::error::ApiError;

/// The limits; each is none if absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// The most requests a second of one credential.
    pub requests_per_second: Option<NonZero<u32>>,
    /// The most of them at once; `requests_per_second` if absent.
    pub burst: Option<NonZero<u32>>,
    /// The most requests at a time, of all credentials together.
    pub in_flight: Option<NonZero<u32>>,
}

/// Holds callers to the limits.
pub struct Limiter {
    in_force: ArcSwap<InForce>,
    in_flight: Arc<AtomicU32>,
    turns: Arc<Turns>,
}

struct InForce {
    limits: Limits,
    rate: Option<Rate>,
}

/// What a request has been given. It gives it back when it is dropped.
#[derive(Debug)]
pub(super) struct Admission {
    _counted: Option<Counted>,
    _turn: Option<Turn>,
}

/// A request that counts as in flight.
#[derive(Debug)]
struct Counted(Arc<AtomicU32>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug, thiserror::Error)]
#[error("limits.in_flight requests are worked on already")]
struct TooManyInFlight;

impl InForce {
    fn new(limits: Limits) -> Self {
        let rate = limits
            .requests_per_second
            .map(|rate| Rate::new(rate, limits.burst.unwrap_or(rate)));
        Self { limits, rate }
    }
}

impl Limiter {
    /// Holds callers to these limits, and so many reads to a time: as many as the
    /// store has use for.
    #[must_use]
    pub fn new(limits: Limits, reads: usize) -> Self {
        Self {
            in_force: ArcSwap::from_pointee(InForce::new(limits)),
            in_flight: Arc::default(),
            turns: Turns::new(reads),
        }
    }

    /// Puts other limits in force. A rate that stays the same keeps its count.
    pub fn replace(&self, limits: Limits) {
        if self.in_force.load().limits != limits {
            self.in_force.store(Arc::new(InForce::new(limits)));
        }
    }

    /// Lets a request of this credential in, or says why not. A read waits for its
    /// turn.
    pub(super) async fn admit(
        &self,
        method: &Method,
        credential: Option<&Identifier>,
    ) -> Result<Admission, ApiError> {
        let counted = self.count(credential)?;
        let turn = if method.is_safe() {
            let turn = self.turns.take(&credential.cloned()).await;
            Some(turn.map_err(ApiError::unavailable)?)
        } else {
            None
        };
        Ok(Admission {
            _counted: counted,
            _turn: turn,
        })
    }

    fn count(&self, credential: Option<&Identifier>) -> Result<Option<Counted>, ApiError> {
        let in_force = self.in_force.load();
        if let Some(rate) = &in_force.rate {
            rate.count(&credential.cloned())
                .map_err(ApiError::TooManyRequests)?;
        }
        let Some(most) = in_force.limits.in_flight else {
            return Ok(None);
        };
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(Arc::clone(&self.in_flight));
        if before >= most.get() {
            return Err(ApiError::unavailable(TooManyInFlight));
        }
        Ok(Some(counted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_beyond_those_in_flight_are_refused_at_once() {
        let limits = Limits {
            in_flight: NonZero::new(2),
            ..Limits::default()
        };
        let limiter = Limiter::new(limits, 9);
        let admit = || limiter.admit(&Method::POST, None);
        let (first, second) = (admit().await.unwrap(), admit().await.unwrap());
        let refused = admit().await.unwrap_err();
        assert!(matches!(refused, ApiError::Unavailable(_)), "{refused}");
        drop(first);
        let third = admit().await.unwrap();
        assert!(admit().await.is_err());
        drop((second, third));
        assert_eq!(limiter.in_flight.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_rate_that_is_put_in_force_again_does_not_begin_anew() {
        let limits = Limits {
            requests_per_second: NonZero::new(1),
            ..Limits::default()
        };
        let limiter = Limiter::new(limits, 9);
        assert!(limiter.admit(&Method::POST, None).await.is_ok());
        limiter.replace(limits);
        assert!(limiter.admit(&Method::POST, None).await.is_err());
        limiter.replace(Limits::default());
        assert!(limiter.admit(&Method::POST, None).await.is_ok());
    }
}
