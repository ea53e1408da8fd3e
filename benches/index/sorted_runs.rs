//! The store's way: rows in the order of the tasks' ids, found by the index.

use std::error::Error;
use std::path::Path;

use kootask::store::sqlite;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::index::{Entry, Fingerprints, Index, IndexKind};
use crate::key::{Digest, Key};
use crate::key_store::{KeyStore, known, set_up};

pub(crate) struct SortedRuns {
    connection: Connection,
    fingerprints: Fingerprints,
    index: Index,
}

impl SortedRuns {
    pub(crate) fn open(path: &Path) -> Result<Self, Box<dyn Error>> {
        sqlite::migrate(path)?;
        let connection = Connection::open(path)?;
        set_up(&connection)?;
        Ok(Self {
            fingerprints: Fingerprints::load(&connection)?,
            index: Index::load(&connection, IndexKind::IdempotencyKey)?,
            connection,
        })
    }
}

impl KeyStore for SortedRuns {
    fn insert(&mut self, keys: &[Key]) -> Result<(), Box<dyn Error>> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut insert = transaction.prepare_cached(
            "INSERT INTO idempotency (task_id, key_digest, body_digest) VALUES (?1, ?2, ?3)",
        )?;
        let mut entries: Vec<Entry> = Vec::with_capacity(keys.len());
        for key in keys {
            let fingerprint = self.fingerprints.of(&[], &key.digest);
            if find(&transaction, &self.index, fingerprint, &key.digest)?.is_some() {
                return Err(known(key));
            }
            insert.execute(params![key.task_id, key.digest, key.body])?;
            entries.push((fingerprint, key.task_id));
        }
        drop(insert);
        self.index.maintain(&transaction, keys.len(), 0, &entries)?;
        transaction.commit()?;
        self.index.committed(&entries);
        Ok(())
    }

    fn find(&self, digest: &Digest) -> rusqlite::Result<Option<(i64, Digest)>> {
        let fingerprint = self.fingerprints.of(&[], digest);
        find(&self.connection, &self.index, fingerprint, digest)
    }

    fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// As the writer does it: whoever has the fingerprint is compared with the whole
/// key.
fn find(
    connection: &Connection,
    index: &Index,
    fingerprint: u64,
    digest: &Digest,
) -> rusqlite::Result<Option<(i64, Digest)>> {
    for task_id in index.find(connection, fingerprint)? {
        let body = connection
            .prepare_cached(
                "SELECT body_digest FROM idempotency WHERE task_id = ?1 AND key_digest = ?2",
            )?
            .query_row(params![task_id, digest], |row| row.get(0))
            .optional()?;
        if let Some(body) = body {
            return Ok(Some((task_id, body)));
        }
    }
    Ok(None)
}
