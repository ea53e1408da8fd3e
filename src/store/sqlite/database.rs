//! The database file as the writer holds it: a connection and the indexes over
//! it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};

use super::batch::Batch;
use super::connection::connect;
use super::expiry::Expiry;
use super::files::{DatabaseFile, look};
use super::index::{Entry, Fingerprints, Index, IndexKind, SharedMemtable};
use super::log::Log;
use super::standing;
use super::work::{Outcomes, Writes};
use crate::store::dispatch::{Dispatch, Waiters};
use crate::store::given::Given;
use crate::store::nodes::{OwnNodes, StoredIds};
use crate::store::outlook::Outlook;
use crate::store::row::{self, Code, CorruptRow};
use crate::task::clock::SharedClock;
use crate::task::repository::StoreError;
use crate::task::retry::RetryPolicy;
use crate::task::{TaskId, TaskParameters, TaskType};

/// The most rows that are named one by one where they cannot be read.
const NAMED_ROWS: u64 = 10;
/// The most expired keys deleted with one commit, for each row that it adds.
const EXPIRED_PER_ROW: usize = 4;

/// Why the database could not be opened or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum DatabaseError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("{path}: {error}", path = path.display())]
    File {
        path: PathBuf,
        error: std::io::Error,
    },
    /// A file that was emptied counts as another.
    #[error("{}: another file is in the place of the one that was opened", .0.display())]
    Replaced(PathBuf),
    #[error(transparent)]
    Corrupt(#[from] CorruptRow),
    #[error("not JSON: {0}")]
    NotJson(#[from] serde_json::Error),
}

impl DatabaseError {
    /// Whether it is the files that are wrong, and not the connection: it still
    /// holds what the files may lack.
    pub(super) const fn is_of_files(&self) -> bool {
        matches!(self, Self::File { .. } | Self::Replaced(_))
    }
}

impl From<DatabaseError> for StoreError {
    fn from(error: DatabaseError) -> Self {
        Self::failed(error)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::failed(error)
    }
}

/// Where a database is and what it is opened with.
#[derive(Clone)]
pub(super) struct Source {
    path: PathBuf,
    file: Arc<DatabaseFile>,
    /// The file's device and inode. Another file in its place is not ours to
    /// write to, least of all with our log beside it.
    identity: (u64, u64),
    clock: SharedClock,
    attempts: RetryPolicy,
    source_users: SharedMemtable,
}

pub(super) struct Database {
    connection: Connection,
    log: Log,
    expiry: Expiry,
    fingerprints: Fingerprints,
    keys: Index,
    source_users: Index,
    /// None when the last transaction failed: it may have what the database has
    /// not.
    dispatch: Option<Dispatch>,
    /// Empty then, for the same reason.
    given: Given,
    /// The next commit writes something by itself.
    is_probed: bool,
    /// Dropped last: it holds the lock.
    source: Source,
}

impl Source {
    /// The database that is at `path` now, locked; its schema is up to date.
    pub(super) fn new(
        path: &Path,
        file: DatabaseFile,
        (clock, attempts): (SharedClock, RetryPolicy),
        source_users: SharedMemtable,
    ) -> Result<Self, DatabaseError> {
        Ok(Self {
            path: path.to_owned(),
            file: Arc::new(file),
            identity: look(path)?.identity,
            clock,
            attempts,
            source_users,
        })
    }

    pub(super) const fn clock(&self) -> &SharedClock {
        &self.clock
    }

    /// Makes sure that the file is there, still the same, and not emptied.
    fn check(&self) -> Result<(), DatabaseError> {
        let file = look(&self.path)?;
        if file.identity == self.identity && file.bytes > 0 {
            Ok(())
        } else {
            Err(DatabaseError::Replaced(self.path.clone()))
        }
    }

    /// Opens the database and loads the indexes' young entries.
    pub(super) fn open(&self) -> Result<Database, DatabaseError> {
        self.check()?;
        // Never creates: a file that is gone must not come back empty.
        let connection = connect(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        let mut database = Database {
            source: self.clone(),
            is_probed: false,
            log: Log::begin(&connection, &self.file)?,
            expiry: Expiry::load(&connection, self.clock.clone())?,
            fingerprints: Fingerprints::load(&connection)?,
            keys: Index::load(&connection, IndexKind::IdempotencyKey)?,
            source_users: Index::load(&connection, IndexKind::SourceUser)?,
            dispatch: Some(standing::load(
                &connection,
                self.attempts,
                self.clock.elapsed(),
            )?),
            given: Given::default(),
            connection,
        };
        database.load_young_keys()?;
        database.load_young_source_users()?;
        // Not before they are whole: reads go on while a database is reopened.
        database.source_users.share(self.source_users.clone());
        Ok(database)
    }
}

impl Database {
    pub(super) const fn source(&self) -> &Source {
        &self.source
    }

    /// The ids in it, seen from now.
    pub(super) fn stored_ids(&self) -> rusqlite::Result<StoredIds> {
        stored_ids(&self.connection, OwnNodes::first_later(&self.source.clock))
    }

    fn load_young_keys(&mut self) -> Result<(), DatabaseError> {
        let first_kept = self.expiry.first_kept();
        let after = self.keys.indexed_to().max(first_kept.saturating_sub(1));
        let mut statement = self.connection.prepare(
            "SELECT key_digest, task_id FROM idempotency WHERE task_id > ?1
             UNION ALL
             SELECT key_digest, task_id FROM further_key WHERE task_id > ?1",
        )?;
        let entries: Vec<Entry> = statement
            .query_map([after], |row| {
                let key = row.get_ref(0)?.as_blob()?;
                Ok((self.fingerprints.of(&[], key), row.get(1)?))
            })?
            .collect::<rusqlite::Result<_>>()?;
        self.keys.committed(&entries);
        Ok(())
    }

    fn load_young_source_users(&mut self) -> Result<(), DatabaseError> {
        let mut statement = self.connection.prepare(
            "SELECT id, tenant_id, init_params FROM task WHERE id > ?1 AND task_type = ?2",
        )?;
        let transfer = TaskType::TransferAndDeletion.code();
        let mut rows = statement.query(params![self.source_users.indexed_to(), transfer])?;
        let mut entries = Vec::new();
        let mut unreadable: u64 = 0;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let json = row.get_ref(2)?.as_str().unwrap_or_default();
            match row::read_parameters(TaskType::TransferAndDeletion, json) {
                Some(TaskParameters::Transfer { src_user_id, .. }) => {
                    let tenant = row.get_ref(1)?.as_bytes().unwrap_or_default();
                    let user = src_user_id.as_str().as_bytes();
                    entries.push((self.fingerprints.of(tenant, user), id));
                }
                // It cannot be found by its user; all others can.
                Some(TaskParameters::BatchImport { .. }) | None => {
                    unreadable = unreadable.saturating_add(1);
                    if unreadable <= NAMED_ROWS {
                        tracing::error!(task_id = id, "the row of a task is not readable");
                    }
                }
            }
        }
        if unreadable > 0 {
            tracing::error!(rows = unreadable, "rows of tasks are not readable");
        }
        self.source_users.committed(&entries);
        Ok(())
    }

    pub(super) fn fingerprints(&self) -> Fingerprints {
        self.fingerprints.clone()
    }

    /// Does the work of these writes in one transaction; what became of each.
    /// Without any it only does what waits. Claims get what there is.
    ///
    /// After an error the database must be opened anew.
    pub(super) fn commit(
        &mut self,
        writes: &Writes,
        waiters: &mut Waiters,
    ) -> Result<Outcomes, DatabaseError> {
        self.source.check()?;
        self.log.check()?;
        let (elapsed, now) = (self.source.clock.elapsed(), self.source.clock.now());
        // It is put back when it is as true as the database.
        let mut dispatch = match self.dispatch.take() {
            Some(dispatch) => dispatch,
            None => standing::load(&self.connection, self.source.attempts, elapsed)?,
        };
        let mut given = std::mem::take(&mut self.given);
        let first_kept = self.expiry.first_kept();
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut batch = Batch::new(
            &transaction,
            &self.fingerprints,
            &self.keys,
            &mut given,
            first_kept,
        )?;
        let mut outcomes = batch.work(writes, waiters, &mut dispatch, (elapsed, now))?;
        let (key_entries, source_user_entries) = batch.into_entries();
        let rows = writes.len().max(1);
        forget_keys(
            &transaction,
            first_kept,
            rows.saturating_mul(EXPIRED_PER_ROW),
        )?;
        self.keys
            .maintain(&transaction, rows, first_kept, &key_entries)?;
        self.source_users
            .maintain(&transaction, rows, 0, &source_user_entries)?;
        self.expiry.keep(&transaction)?;
        if std::mem::take(&mut self.is_probed) {
            transaction.execute("UPDATE log_state SET is_needed = is_needed", [])?;
        }
        self.log.before_commit(&transaction)?;
        transaction.commit()?;
        self.keys.committed(&key_entries);
        self.source_users.committed(&source_user_entries);
        self.log.committed(&self.connection)?;
        dispatch.committed(self.source.clock.elapsed());
        outcomes.moves = dispatch.take_moves();
        self.dispatch = Some(dispatch);
        self.given = given;
        Ok(outcomes)
    }

    /// Has the next commit write something, though nothing was asked for.
    pub(super) const fn write_something(&mut self) {
        self.is_probed = true;
    }

    /// What there is to be executed; nothing when the last transaction failed.
    pub(super) fn outlook(&self, waiters: &Waiters) -> Option<Outlook> {
        let dispatch = self.dispatch.as_ref();
        dispatch.map(|dispatch| dispatch.outlook(waiters))
    }

    /// How long nothing is to be done unless something comes.
    pub(super) fn idle(&self, waiters: &Waiters) -> Duration {
        let clock = &self.source.clock;
        let dispatch = self.dispatch.as_ref();
        dispatch.map_or(Duration::MAX, |dispatch| {
            dispatch.idle(waiters, clock.elapsed(), clock.now())
        })
    }

    /// Closes the database, whole and in one file where no other connection is
    /// open.
    pub(super) fn close(self) {
        if let Err(error) = self.log.end(&self.connection) {
            tracing::warn!(error = %error, "the database was not closed well");
        }
    }
}

/// Deletes up to `most` keys of tasks before `first_kept`.
fn forget_keys(
    transaction: &Transaction<'_>,
    first_kept: i64,
    most: usize,
) -> rusqlite::Result<()> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    for table in ["idempotency", "further_key"] {
        // Mostly none goes, and to look costs next to nothing.
        let last: Option<i64> = transaction
            .prepare_cached(&format!(
                "SELECT max(task_id) FROM
                 (SELECT task_id FROM {table} WHERE task_id < ?1 ORDER BY task_id LIMIT ?2)"
            ))?
            .query_row([first_kept, most], |row| row.get(0))?;
        if let Some(last) = last {
            transaction
                .prepare_cached(&format!("DELETE FROM {table} WHERE task_id <= ?1"))?
                .execute([last])?;
        }
    }
    Ok(())
}

/// The ids in the database at `path`, seen from `later`.
pub(super) fn stored_ids_at(path: &Path, later: TaskId) -> rusqlite::Result<StoredIds> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    stored_ids(&Connection::open_with_flags(path, flags)?, later)
}

fn stored_ids(connection: &Connection, later: TaskId) -> rusqlite::Result<StoredIds> {
    let newest = |sql: &str, until: i64| -> rusqlite::Result<Option<TaskId>> {
        let id: Option<i64> = connection.query_row(sql, [until], |row| row.get(0))?;
        Ok(id.and_then(TaskId::new))
    };
    let mut statement = connection.prepare("SELECT id FROM task WHERE id >= ?1")?;
    let later_nodes = statement
        .query_map([later.get()], |row| Ok(TaskId::new(row.get(0)?)))?
        .filter_map(|id| id.map(|id| id.map(TaskId::node)).transpose())
        .collect::<rusqlite::Result<_>>()?;
    Ok(StoredIds {
        last: newest("SELECT max(id) FROM task WHERE id < ?1", later.get())?,
        newest: newest("SELECT max(id) FROM task WHERE id <= ?1", i64::MAX)?,
        later: later_nodes,
    })
}
