//! The plain way: one table, whose primary key is the digest.

use std::error::Error;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::key::{Digest, Key};
use crate::key_store::{KeyStore, known, set_up};

const TABLE: &str = "CREATE TABLE idempotency (
    key_digest  BLOB PRIMARY KEY,
    body_digest BLOB    NOT NULL,
    task_id     INTEGER NOT NULL
) STRICT, WITHOUT ROWID";

pub(crate) struct BTree(Connection);

impl BTree {
    pub(crate) fn open(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        set_up(&connection)?;
        connection.execute(TABLE, [])?;
        Ok(Self(connection))
    }
}

impl KeyStore for BTree {
    fn insert(&mut self, keys: &[Key]) -> Result<(), Box<dyn Error>> {
        // What shares a page comes together.
        let mut sorted: Vec<&Key> = keys.iter().collect();
        sorted.sort_unstable_by_key(|key| key.digest);
        let transaction = self
            .0
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut insert = transaction.prepare_cached(
            "INSERT INTO idempotency (key_digest, body_digest, task_id) VALUES (?1, ?2, ?3)
             ON CONFLICT DO NOTHING",
        )?;
        for key in sorted {
            if insert.execute(params![key.digest, key.body, key.task_id])? != 1 {
                return Err(known(key));
            }
        }
        drop(insert);
        Ok(transaction.commit()?)
    }

    fn find(&self, digest: &Digest) -> rusqlite::Result<Option<(i64, Digest)>> {
        self.0
            .prepare_cached("SELECT task_id, body_digest FROM idempotency WHERE key_digest = ?1")?
            .query_row([digest], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
    }

    fn connection(&self) -> &Connection {
        &self.0
    }
}
