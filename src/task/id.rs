//! Task ids: KooDrive's layout, and a generator that never repeats itself.
//!
//! Contract: `task-id.md`.

mod generator;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

pub use self::generator::{IdError, IdGenerator, MAX_STEP_BACK};
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

/// Milliseconds since the layout's epoch, clamped to its range: a clock past
/// 2053 makes the generator wait for ever rather than begin again at zero.
fn layout_millis(time: Timestamp) -> u64 {
    u64::try_from(time.as_millisecond().saturating_sub(EPOCH_MILLIS))
        .unwrap_or(0)
        .min(KooDriveLayout::TIMESTAMP_MASK)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
    }
}
