//! What the two have in common.

use std::error::Error;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::key::{Digest, Key};

/// Pages in the log after which it is moved into the file, as the store does.
const CHECKPOINT_PAGES: u32 = 4096;

/// Idempotency keys on disk.
pub(crate) trait KeyStore {
    /// Commits these keys in one transaction. Each is looked for first, as with a
    /// create: one that is there is an error.
    fn insert(&mut self, keys: &[Key]) -> Result<(), Box<dyn Error>>;

    /// The task and the body of this key.
    fn find(&self, digest: &Digest) -> rusqlite::Result<Option<(i64, Digest)>>;

    /// The connection to its file.
    fn connection(&self) -> &Connection;
}

/// Sets a connection to what the store's writer sets its own to.
pub(crate) fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// The bytes of a store's file with nothing left in the log.
pub(crate) fn file_bytes(connection: &Connection) -> Result<u64, Box<dyn Error>> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    let path: PathBuf = connection.path().map(PathBuf::from).unwrap_or_default();
    Ok(Path::metadata(&path)?.len())
}

/// What a key that should be new is to a store.
pub(crate) fn known(key: &Key) -> Box<dyn Error> {
    format!("the key of task {} was there before", key.task_id).into()
}
