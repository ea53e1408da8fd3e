//! A generator of ids that never repeats itself.

use std::fmt;
use std::time::Duration;

use ferroid::generator::{AtomicSnowflakeGenerator, Poll};
use ferroid::time::TimeSource;

use super::layout::KooDriveLayout;
use super::{TaskId, layout_millis};
use crate::task::clock::SharedClock;

/// How far the clock may step back before ids are refused instead of waited
/// for.
pub const MAX_STEP_BACK: Duration = Duration::from_secs(1);

/// Why no id can be made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// All 128 ids of this millisecond are used, or the clock stepped back a
    /// little: try again after the wait.
    #[error("no task id is free for another {} ms", .0.as_millis())]
    Wait(Duration),
    /// The clock is too far behind the last id to wait for it.
    #[error(
        "the clock is {} ms behind the last task id; no id is made until it has caught up",
        .0.as_millis()
    )]
    ClockBehind(Duration),
}

/// Makes the ids of one node, strictly increasing.
pub struct IdGenerator {
    inner: AtomicSnowflakeGenerator<KooDriveLayout, LayoutClock>,
}

impl fmt::Debug for IdGenerator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("IdGenerator")
            .finish_non_exhaustive()
    }
}

impl IdGenerator {
    /// A generator for `node` whose ids are all above `last`, the newest id
    /// that the store holds.
    #[must_use]
    pub fn new(node: u16, last: Option<TaskId>, clock: SharedClock) -> Self {
        let last_millis = last.map_or(0, |id| id.layout().timestamp());
        // With the sequence used up the first id falls into a later
        // millisecond, whatever node made `last`.
        let inner = AtomicSnowflakeGenerator::from_components(
            last_millis,
            u64::from(node),
            KooDriveLayout::max_sequence(),
            LayoutClock(clock),
        );
        Self { inner }
    }

    /// The next id.
    ///
    /// # Errors
    ///
    /// [`IdError::Wait`] when one will be free in a moment,
    /// [`IdError::ClockBehind`] when the clock stepped back further than that.
    pub fn next_id(&self) -> Result<TaskId, IdError> {
        loop {
            match self.inner.poll_id() {
                Poll::Ready { id } => return Ok(TaskId::from_layout(id)),
                // Another thread took the id in between.
                Poll::Pending { yield_for: 0 } => std::hint::spin_loop(),
                Poll::Pending { yield_for } => {
                    let wait = Duration::from_millis(yield_for);
                    return Err(if wait > MAX_STEP_BACK {
                        IdError::ClockBehind(wait)
                    } else {
                        IdError::Wait(wait)
                    });
                }
            }
        }
    }
}

/// The clock in the layout's milliseconds.
struct LayoutClock(SharedClock);

impl TimeSource<u64> for LayoutClock {
    fn current_millis(&self) -> u64 {
        layout_millis(self.0.now())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::task::clock::{Clock, SystemClock};

    /// A clock that the test moves, in Unix milliseconds.
    struct ManualClock(AtomicI64);

    impl ManualClock {
        fn at(millis: i64) -> Arc<Self> {
            Arc::new(Self(AtomicI64::new(millis)))
        }

        fn move_by(&self, millis: i64) {
            self.0.fetch_add(millis, Ordering::Relaxed);
        }
    }

    impl Clock for ManualClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_millisecond(self.0.load(Ordering::Relaxed)).unwrap()
        }
    }

    const NOW: i64 = 1_795_000_000_000;

    #[test]
    fn a_millisecond_holds_128_ids_and_then_asks_to_wait() {
        let clock = ManualClock::at(NOW);
        let ids = IdGenerator::new(1, None, clock.clone());
        for sequence in 0..128 {
            assert_eq!(ids.next_id().unwrap().sequence(), sequence);
        }
        let wait = Duration::from_millis(1);
        assert_eq!(ids.next_id(), Err(IdError::Wait(wait)));
        clock.move_by(1);
        assert_eq!(ids.next_id().unwrap().sequence(), 0);
    }

    #[test]
    fn a_large_step_back_is_refused_until_the_clock_has_caught_up() {
        let clock = ManualClock::at(NOW);
        let ids = IdGenerator::new(1, None, clock.clone());
        let before = ids.next_id().unwrap();
        clock.move_by(-60_000);
        let behind = Duration::from_secs(60);
        assert_eq!(ids.next_id(), Err(IdError::ClockBehind(behind)));
        clock.move_by(60_001);
        assert!(ids.next_id().unwrap() > before);
    }

    #[test]
    fn past_the_layouts_end_no_id_is_made_rather_than_one_again() {
        let clock = ManualClock::at(
            "2060-01-01T00:00:00Z"
                .parse::<Timestamp>()
                .unwrap()
                .as_millisecond(),
        );
        let ids = IdGenerator::new(1, None, clock.clone());
        let made: HashSet<TaskId> = (0..128).map(|_| ids.next_id().unwrap()).collect();
        assert_eq!(made.len(), 128);
        clock.move_by(1_000);
        assert!(ids.next_id().is_err());
    }

    #[test]
    fn threads_sharing_a_generator_never_get_the_same_id() {
        let ids = Arc::new(IdGenerator::new(7, None, Arc::new(SystemClock)));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let ids = Arc::clone(&ids);
                std::thread::spawn(move || {
                    let mut made: Vec<TaskId> = Vec::new();
                    while made.len() < 5_000 {
                        match ids.next_id() {
                            Ok(id) => made.push(id),
                            Err(_) => std::thread::yield_now(),
                        }
                    }
                    assert!(made.is_sorted_by(|a, b| a < b));
                    made
                })
            })
            .collect();
        let all: HashSet<TaskId> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        assert_eq!(all.len(), 20_000);
    }

    proptest! {
        #[test]
        fn first_at_divides_ids_by_time(millis in NOW..NOW + 10_000_000, node: u16) {
            let clock = ManualClock::at(millis);
            let id = IdGenerator::new(node, None, clock.clone()).next_id().unwrap();
            prop_assert_eq!(id.node(), node);
            prop_assert_eq!(id.created_at().as_millisecond(), millis);
            prop_assert!(id >= TaskId::first_at(clock.now()));
            clock.move_by(1);
            prop_assert!(id < TaskId::first_at(clock.now()));
        }

        /// Whatever the clock does and however often the service restarts.
        #[test]
        fn ids_of_a_node_strictly_increase(
            steps in proptest::collection::vec((-2_000_i64..3_000, 1_usize..200, any::<bool>()), 1..40)
        ) {
            let clock = ManualClock::at(NOW);
            let mut ids = IdGenerator::new(3, None, clock.clone());
            let mut last = None;
            for (step, draws, restart) in steps {
                clock.move_by(step);
                if restart {
                    ids = IdGenerator::new(3, last, clock.clone());
                }
                for id in (0..draws).map_while(|_| ids.next_id().ok()) {
                    prop_assert!(Some(id) > last);
                    last = Some(id);
                }
            }
        }
    }
}
