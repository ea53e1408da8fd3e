//! When idempotency keys have expired, across restarts.

use rusqlite::{Connection, Transaction};

use crate::task::TaskId;
use crate::task::clock::SharedClock;
use crate::task::idempotency;
use crate::task::key_expiry::{KeyExpiry, Offset};

/// How much of the time that was lived through a crash may take back, in
/// milliseconds: keys then stand as much longer.
const PERIOD: i64 = 60_000;

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
        let seen: Vec<Offset> = self.keys.offsets().collect();
        let is_kept = seen.len() == self.kept.len()
            && seen.iter().zip(&self.kept).all(|(seen, kept)| {
                seen.millis == kept.millis && seen.until.saturating_sub(kept.until) < PERIOD
            });
        if is_kept {
            return Ok(());
        }
        transaction
            .prepare_cached("DELETE FROM clock_offset")?
            .execute([])?;
        let mut insert = transaction
            .prepare_cached("INSERT INTO clock_offset (until, millis) VALUES (?1, ?2)")?;
        for offset in &seen {
            insert.execute([offset.until, offset.millis])?;
        }
        self.kept = seen;
        Ok(())
    }
}
