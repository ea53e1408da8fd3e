//! When idempotency keys have expired, across restarts.

use std::iter;

use rusqlite::{Connection, Transaction};

use crate::task::TaskId;
use crate::task::clock::SharedClock;
use crate::task::idempotency;
use crate::task::key_expiry::{KeyExpiry, Offset};

/// How much of the time that was lived through a crash may take back, in
/// milliseconds: keys then stand as much longer.
const PERIOD: i64 = 60_000;
/// By how much less than what was seen is kept, in milliseconds: the clocks are read
/// one after the other, and not each time a little less was seen is a write worth it.
const SPARE: i64 = 10;

/// The expiry of the keys of a database.
pub(super) struct Expiry {
    keys: KeyExpiry,
    clock: SharedClock,
    /// What the database has of it.
    kept: Vec<Offset>,
}

impl Expiry {
    pub(super) fn load(connection: &Connection, clock: SharedClock) -> rusqlite::Result<Self> {
        let kept: Vec<Offset> = connection
            .prepare("SELECT until, millis FROM clock_offset ORDER BY rowid")?
            .query_map([], |row| {
                Ok(Offset {
                    until: row.get(0)?,
                    millis: row.get(1)?,
                })
            })?
            .collect::<rusqlite::Result<_>>()?;
        let mut keys = KeyExpiry::resume(kept.clone(), clock.elapsed());
        if kept.is_empty() {
            // The clock was not looked at before: the newest task tells of it.
            let newest: Option<i64> =
                connection.query_row("SELECT max(id) FROM task", [], |row| row.get(0))?;
            if let Some(newest) = newest.and_then(TaskId::new) {
                keys.observe(newest.created_at(), clock.elapsed());
            }
        }
        keys.observe(clock.now(), clock.elapsed());
        if keys.lag() > idempotency::WINDOW {
            tracing::warn!(
                clock = %clock.now(),
                ahead_s = keys.lag().as_secs(),
                "the service was down for long, or the clock is ahead: the keys that are kept \
                 stand for as much longer"
            );
        }
        Ok(Self { keys, clock, kept })
    }

    /// The first id whose key has not expired now.
    pub(super) fn first_kept(&mut self) -> i64 {
        let expired = self.keys.observe(self.clock.now(), self.clock.elapsed());
        TaskId::first_at(expired).get()
    }

    /// Keeps what was seen of the clock, with the tasks that were made by it.
    pub(super) fn keep(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let kept = self
            .kept
            .iter()
            .map(|kept| Some(*kept))
            .chain(iter::repeat(None));
        let seen = self.keys.offsets().zip(kept);
        let to_keep: Vec<Offset> = seen.map(|(seen, kept)| to_keep(seen, kept)).collect();
        if to_keep == self.kept {
            return Ok(());
        }
        transaction
            .prepare_cached("DELETE FROM clock_offset")?
            .execute([])?;
        let mut insert = transaction
            .prepare_cached("INSERT INTO clock_offset (until, millis) VALUES (?1, ?2)")?;
        for offset in &to_keep {
            insert.execute([offset.until, offset.millis])?;
        }
        self.kept = to_keep;
        Ok(())
    }
}

/// What to keep of an offset that was seen: what is kept, where that will do. Less than
/// what was seen has keys stand for longer, never shorter.
fn to_keep(seen: Offset, kept: Option<Offset>) -> Offset {
    let does = |kept: &Offset| {
        (kept.millis..=kept.millis.saturating_add(2 * SPARE)).contains(&seen.millis)
    };
    match kept.filter(does) {
        Some(kept) if seen.until.saturating_sub(kept.until) < PERIOD => kept,
        Some(kept) => Offset {
            until: seen.until,
            millis: kept.millis,
        },
        None => Offset {
            until: seen.until,
            millis: seen.millis.saturating_sub(SPARE),
        },
    }
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    reason = "the times of a test are far from any limit"
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn clocks_that_are_read_one_after_the_other_cost_a_write_a_period(
            until in 0_i64..1_000_000_000,
            readings in proptest::collection::vec((0..PERIOD, -SPARE..=SPARE), 1..100),
        ) {
            let seen = |until, millis| Offset { until, millis };
            let kept = to_keep(seen(until, 1_000), None);
            prop_assert_eq!(kept.millis, 1_000 - SPARE);
            for (later, off) in readings {
                let again = to_keep(seen(until + later, 1_000 + off), Some(kept));
                prop_assert_eq!(again, kept);
            }
            let next = to_keep(seen(until + PERIOD, 1_000), Some(kept));
            prop_assert_eq!(next, seen(until + PERIOD, kept.millis));
        }

        #[test]
        fn what_is_kept_is_never_more_than_what_was_seen_nor_much_less(
            millis in any::<i32>(), before in any::<i32>()
        ) {
            let seen = |millis| Offset { until: 0, millis: i64::from(millis) };
            let kept = to_keep(seen(millis), Some(seen(before))).millis;
            prop_assert!((kept..=kept + 2 * SPARE).contains(&i64::from(millis)));
        }
    }
}
