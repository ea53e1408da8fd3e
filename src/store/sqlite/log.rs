//! The write-ahead log: when what it holds moves into the database file, and how
//! its loss is noticed.
//!
//! A database file whose log was removed looks whole: it is only older. So the
//! file says of itself that it needs a log, and the log takes that back:
//!
//! ```text
//! database file: is_needed = 1    log: is_needed = 0, tasks, tasks, …
//! ```
//!
//! Whoever reads both sees 0, also when another program has moved the whole log
//! into the file. To bring the 1 into the file, it is the last that a commit
//! writes before a checkpoint; the 0 is the first commit after it.

use std::path::PathBuf;

use rusqlite::{Connection, Transaction};

use super::database::DatabaseError;
use super::files::{DatabaseFile, FRAME_HEADER_BYTES, look};

/// Pages in the log after which they are moved into the database file.
const CHECKPOINT_PAGES: u64 = 4096;

/// The log as the writer sees it.
pub(super) struct Log {
    path: PathBuf,
    /// The file's device and inode.
    identity: (u64, u64),
    /// What a page takes in it.
    frame_bytes: u64,
    /// The pages in it.
    pages: u64,
    /// The number of pages at which to move them.
    limit: u64,
    /// The last commit said that the log is needed: it waits to be moved.
    is_due: bool,
}

impl Log {
    /// Begins a log that the database file knows of.
    pub(super) fn begin(
        connection: &Connection,
        file: &DatabaseFile,
    ) -> Result<Self, DatabaseError> {
        // Not by itself: see above.
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        set_needed(connection, true)?;
        let path = file.log_path();
        let page_bytes: u32 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let mut log = Self {
            identity: look(&path)?.identity,
            path,
            frame_bytes: u64::from(page_bytes).saturating_add(FRAME_HEADER_BYTES),
            pages: 0,
            limit: 0,
            is_due: true,
        };
        log.checkpoint(connection)?;
        log.pages = pages(connection)?;
        Ok(log)
    }

    /// To be called at the end of each transaction.
    pub(super) fn before_commit(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        if !self.is_due && self.pages >= self.limit {
            set_needed(transaction, true)?;
            self.is_due = true;
        }
        Ok(())
    }

    /// To be called after each commit: makes room in the log at need, and makes
    /// sure that what was committed will be found.
    pub(super) fn committed(&mut self, connection: &Connection) -> Result<(), DatabaseError> {
        if self.is_due
            && let Err(error) = self.checkpoint(connection)
        {
            // What was committed is safe where it is.
            tracing::warn!(error = %error, "the log cannot be moved into the database file yet");
        }
        self.pages = pages(connection)?;
        self.check()
    }

    fn checkpoint(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let is_moved = connection
            .prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?
            .query_row([], |row| Ok(row.get::<_, i64>(1)? == row.get::<_, i64>(2)?))?;
        // Else somebody still reads what the file held before.
        if is_moved {
            set_needed(connection, false)?;
            self.is_due = false;
            self.limit = pages(connection)?.saturating_add(CHECKPOINT_PAGES);
        }
        Ok(())
    }

    /// Makes sure that the file is there, still the same, and whole. One that has
    /// no name any more could be written to, but would end with the process.
    pub(super) fn check(&self) -> Result<(), DatabaseError> {
        let file = look(&self.path)?;
        let least = self.pages.saturating_mul(self.frame_bytes);
        if file.identity == self.identity && file.bytes >= least {
            Ok(())
        } else {
            Err(DatabaseError::Replaced(self.path.clone()))
        }
    }

    /// Lets the file stand alone, for the last connection to move the log.
    pub(super) fn end(self, connection: &Connection) -> rusqlite::Result<()> {
        if self.is_due {
            set_needed(connection, false)?;
        }
        Ok(())
    }
}

fn set_needed(connection: &Connection, is_needed: bool) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE log_state SET is_needed = ?1")?
        .execute([is_needed])?;
    Ok(())
}

/// The pages in the log.
fn pages(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("PRAGMA wal_checkpoint(NOOP)")?
        .query_row([], |row| row.get::<_, u32>(1))
        .map(u64::from)
}
