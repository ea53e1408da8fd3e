//! How a task comes on by itself.
//!
//! Contract: `stand-in.md`, "Progress".

use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;

/// The longest that a task stays in a status by time.
const LONGEST: SignedDuration = SignedDuration::from_hours(720);
/// The most polls that a task stays in a status.
const MOST_POLLS: u32 = 1_000_000;

/// What ends a task's time in a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// So much time, 0 to 30 days.
    For(SignedDuration),
    /// So many answers that show the status, up to a million.
    Polls(u32),
    /// A call, or a worker.
    ByHand,
}

/// How long a task is new, and how long it is executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Until it is started.
    pub new: Wait,
    /// Until it ends.
    pub executing: Wait,
}

/// The text is no [`Progress`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be \"immediate\", \"manual\", or as in \"new 200ms, executing 800ms\" or \"new 1 poll, \
     executing 2 polls\""
)]
pub struct NotAProgress;

impl Progress {
    /// It ends as it is created.
    const IMMEDIATE: Self = Self {
        new: Wait::For(SignedDuration::ZERO),
        executing: Wait::For(SignedDuration::ZERO),
    };
    /// Nothing happens by itself.
    pub const MANUAL: Self = Self {
        new: Wait::ByHand,
        executing: Wait::ByHand,
    };
}

impl FromStr for Progress {
    type Err = NotAProgress;

    fn from_str(text: &str) -> Result<Self, NotAProgress> {
        match text.trim() {
            "immediate" => return Ok(Self::IMMEDIATE),
            "manual" => return Ok(Self::MANUAL),
            _ => {}
        }
        let (new, executing) = text.split_once(',').ok_or(NotAProgress)?;
        let of = |part: &str, name| {
            let wait = part.trim().strip_prefix(name)?.strip_prefix(' ')?;
            wait.trim().parse().ok()
        };
        Ok(Self {
            new: of(new, "new").ok_or(NotAProgress)?,
            executing: of(executing, "executing").ok_or(NotAProgress)?,
        })
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::IMMEDIATE => formatter.write_str("immediate"),
            Self::MANUAL => formatter.write_str("manual"),
            Self { new, executing } => write!(formatter, "new {new}, executing {executing}"),
        }
    }
}

impl FromStr for Wait {
    type Err = NotAProgress;

    fn from_str(text: &str) -> Result<Self, NotAProgress> {
        if text == "by hand" {
            return Ok(Self::ByHand);
        }
        let polls = text
            .strip_suffix(" polls")
            .or_else(|| text.strip_suffix(" poll"));
        if let Some(count) = polls {
            let count = count.trim().parse().ok();
            let count = count.filter(|count| *count <= MOST_POLLS);
            return count.map(Self::Polls).ok_or(NotAProgress);
        }
        let time: SignedDuration = text.parse().map_err(|_| NotAProgress)?;
        if (SignedDuration::ZERO..=LONGEST).contains(&time) {
            Ok(Self::For(time))
        } else {
            Err(NotAProgress)
        }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(time) => write!(formatter, "{time:#}"),
            Self::Polls(1) => formatter.write_str("1 poll"),
            Self::Polls(count) => write!(formatter, "{count} polls"),
            Self::ByHand => formatter.write_str("by hand"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_contracts_examples_are_read() {
        let read = |text: &str| text.parse::<Progress>().unwrap();
        let time = |millis| Wait::For(SignedDuration::from_millis(millis));
        let by_time = read("new 200ms, executing 800ms");
        assert_eq!((by_time.new, by_time.executing), (time(200), time(800)));
        let by_polls = read("new 1 poll, executing 2 polls");
        let polls = (by_polls.new, by_polls.executing);
        assert_eq!(polls, (Wait::Polls(1), Wait::Polls(2)));
        assert_eq!(read("immediate"), Progress::IMMEDIATE);
        assert_eq!(read("manual"), Progress::MANUAL);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "new 200ms",
            "executing 1 poll, new 1 poll",
            "new -1s, executing 1s",
            "new 1s, executing 721h",
            "new x polls, executing 1 poll",
            "new 1s, executing 1s, more",
        ] {
            assert_eq!(text.parse::<Progress>(), Err(NotAProgress), "{text}");
        }
    }

    fn waits() -> impl Strategy<Value = Wait> {
        prop_oneof![
            (0..LONGEST.as_secs()).prop_map(|secs| Wait::For(SignedDuration::from_secs(secs))),
            (0..=MOST_POLLS).prop_map(Wait::Polls),
            Just(Wait::ByHand),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(new in waits(), executing in waits()) {
            let progress = Progress { new, executing };
            prop_assert_eq!(progress.to_string().parse(), Ok(progress));
        }
    }
}
