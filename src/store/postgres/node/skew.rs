//! How far this machine's clock is from the database's: said in the log, for a
//! clock that is wrong shows itself only in what else goes wrong.

use std::ops::RangeInclusive;

use jiff::{SignedDuration, Timestamp};

/// How far the clocks may differ without a word, and how much more or less that
/// becomes.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(2);

/// The difference as it was last told.
#[derive(Default)]
pub(super) struct Skew {
    told: SignedDuration,
}

/// What there is to tell.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    /// This machine's clock is this much ahead; behind, if negative.
    Differ(SignedDuration),
    Agree,
}

impl Skew {
    /// The database's clock showed `database` at a moment at which this machine's
    /// was within `here`.
    pub(super) fn observe(&mut self, here: RangeInclusive<Timestamp>, database: Timestamp) {
        match self.change(&here, database) {
            Some(Change::Differ(ahead)) => {
                let side = if ahead.is_negative() {
                    "behind"
                } else {
                    "ahead of"
                };
                tracing::warn!(
                    difference_ms = ahead.as_millis(),
                    "this machine's clock is {:.1} s {side} the database's: signed requests may \
                     be refused by their X-Date, and ids carry a wrong time",
                    ahead.unsigned_abs().as_secs_f64(),
                );
            }
            Some(Change::Agree) => tracing::info!("this machine's clock and the database's agree"),
            None => {}
        }
    }

    fn change(&mut self, here: &RangeInclusive<Timestamp>, database: Timestamp) -> Option<Change> {
        let ahead = if database < *here.start() {
            here.start().duration_since(database)
        } else if database > *here.end() {
            here.end().duration_since(database)
        } else {
            SignedDuration::ZERO
        };
        let agree = ahead.unsigned_abs() < TOLERANCE.unsigned_abs();
        let ahead = if agree { SignedDuration::ZERO } else { ahead };
        let change = ahead.saturating_sub(self.told);
        if change.unsigned_abs() < TOLERANCE.unsigned_abs() {
            return None;
        }
        self.told = ahead;
        Some(if agree {
            Change::Agree
        } else {
            Change::Differ(ahead)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    #[test]
    fn a_difference_is_told_when_it_comes_changes_and_goes_and_not_each_time() {
        let mut skew = Skew::default();
        let differ = |millis| Some(Change::Differ(SignedDuration::from_millis(millis)));
        for (here, database, told) in [
            // The database's answer took a while.
            (0..=9_000, 5_000, None),
            (0..=10, -1_900, None),
            (0..=10, 10_010, differ(-10_000)),
            (0..=10, 10_510, None),
            (0..=10, -840_000, differ(840_000)),
            (0..=10, -840_500, None),
            (0..=10, 5, Some(Change::Agree)),
            (0..=10, 5, None),
        ] {
            let here = at(*here.start())..=at(*here.end());
            assert_eq!(skew.change(&here, at(database)), told, "{database}");
        }
    }
}
