//! Task ids: KooDrive's layout and a generator that never repeats itself.
//!
//! Contract: `task-id.md`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use ferroid::generator::{AtomicSnowflakeGenerator, Poll};
use ferroid::time::TimeSource;
use jiff::Timestamp;

use super::clock::SharedClock;

use self::layout::KooDriveLayout;

/// What the macro makes is for this file alone.
mod layout {
    ferroid::define_snowflake_id!(
        /// KooDrive's layout: `0 | 40 bits ms | 16 bits node | 7 bits sequence`.
        KooDriveLayout, u64,
        reserved: 1,
        timestamp: 40,
        machine_id: 16,
        sequence: 7
    );
}

/// 2019-01-01T00:00:00+08:00 in milliseconds since the Unix epoch: the zero of
/// the layout's timestamp.
const EPOCH_MILLIS: i64 = 1_546_272_000_000;

/// How far the clock may step back before ids are refused instead of waited
/// for.
pub const MAX_STEP_BACK: Duration = Duration::from_secs(1);

/// The id of a task: a positive signed 64-bit integer, decimal on the wire.
///
/// It tells when and where the task was created, and sorts by that.
///
/// ```
/// use kootask::task::TaskId;
///
/// let id: TaskId = "2091581965319804167".parse()?;
/// assert_eq!(id.created_at().to_string(), "2026-11-25T12:00:00.123Z");
/// assert_eq!((id.node(), id.sequence()), (42, 7));
/// assert!(id < TaskId::first_at("2026-11-26T00:00:00Z".parse()?));
/// assert!("+7".parse::<TaskId>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(i64);

/// The text is not a [`TaskId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a task id is a positive decimal integer below 2^63")]
pub struct NotATaskId;

impl TaskId {
    /// The id with this value; `None` unless it is positive.
    #[must_use]
    pub const fn new(value: i64) -> Option<Self> {
        if value > 0 { Some(Self(value)) } else { None }
    }

    /// The smallest id that a task created at `time` or later can have; clamped
    /// to the layout's range, 2019 to 2053.
    #[must_use]
    pub fn first_at(time: Timestamp) -> Self {
        Self::from_layout(KooDriveLayout::from_components(layout_millis(time), 0, 0))
    }

    /// The id that `node` makes at `time`, clamped as in [`TaskId::first_at`];
    /// of `sequence` the lowest 7 bits count.
    #[must_use]
    pub fn of_parts(time: Timestamp, node: u16, sequence: u8) -> Self {
        let sequence = u64::from(sequence & 0x7f);
        let (millis, node) = (layout_millis(time), u64::from(node));
        Self::from_layout(KooDriveLayout::from_components(millis, node, sequence))
    }

    /// The integer value.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// When the task was created, to the millisecond.
    #[must_use]
    pub fn created_at(self) -> Timestamp {
        let millis = i64::try_from(self.layout().timestamp()).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(millis.saturating_add(EPOCH_MILLIS)).unwrap_or(Timestamp::MAX)
    }

    /// The node that made the id, 0–65,535.
    #[must_use]
    pub fn node(self) -> u16 {
        u16::try_from(self.layout().machine_id()).unwrap_or(u16::MAX)
    }

    /// The position within its node's millisecond, 0–127.
    #[must_use]
    pub fn sequence(self) -> u8 {
        u8::try_from(self.layout().sequence()).unwrap_or(u8::MAX)
    }

    const fn layout(self) -> KooDriveLayout {
        KooDriveLayout::from_raw(self.0.cast_unsigned())
    }

    fn from_layout(layout: KooDriveLayout) -> Self {
        // The reserved top bit is never set.
        Self(layout.to_raw().cast_signed())
    }
}

impl FromStr for TaskId {
    type Err = NotATaskId;

    fn from_str(text: &str) -> Result<Self, NotATaskId> {
        // `i64::from_str` would also take a sign.
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NotATaskId);
        }
        text.parse().ok().and_then(Self::new).ok_or(NotATaskId)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

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

/// Milliseconds since the layout's epoch, clamped to its range: a clock past
/// 2053 makes the generator wait for ever rather than begin again at zero.
fn layout_millis(time: Timestamp) -> u64 {
    u64::try_from(time.as_millisecond().saturating_sub(EPOCH_MILLIS))
        .unwrap_or(0)
        .min(KooDriveLayout::TIMESTAMP_MASK)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

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
    fn koodrives_own_samples_decode_to_their_creation_times() {
        for (id, time) in [
            ("1486254586942472064", "2024-08-12T07:22:33.401Z"),
            ("1486368980720435072", "2024-08-12T11:09:50.202Z"),
            ("1534087020903704704", "2024-10-17T07:17:03.871Z"),
        ] {
            let id: TaskId = id.parse().unwrap();
            assert_eq!(id.created_at(), time.parse().unwrap());
        }
        let create_sample: TaskId = "1534087020903704704".parse().unwrap();
        assert_eq!((create_sample.node(), create_sample.sequence()), (337, 0));
    }

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
        fn text_and_value_are_one(value in 1..=i64::MAX) {
            let id = TaskId::new(value).unwrap();
            prop_assert_eq!(id.to_string().parse::<TaskId>().unwrap(), id);
        }

        #[test]
        fn what_is_no_positive_decimal_is_no_id(text in "[+-]?[0-9]{0,21}[a-z ]?") {
            let valid = text.parse::<i64>().is_ok_and(|v| v > 0) && !text.starts_with('+');
            prop_assert_eq!(text.parse::<TaskId>().is_ok(), valid);
        }

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
