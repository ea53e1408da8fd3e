//! What only the SQLite store does.

mod clock;
mod exclusion;
mod index;
mod leases;
mod lost_files;
mod opening;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kootask::store::sqlite::{OpenError, SqliteStore};
use kootask::task::repository::TaskRepository;
use rusqlite::Connection;
use tempfile::TempDir;

use super::{MovedClock, NODE};

/// A place for a database, gone with the test.
struct Place {
    folder: TempDir,
    clock: Arc<MovedClock>,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            clock: MovedClock::new(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("kootask.db")
    }

    async fn open(&self) -> Arc<dyn TaskRepository> {
        Arc::new(self.try_open(&self.path()).await.unwrap())
    }

    async fn try_open(&self, path: &Path) -> Result<SqliteStore, OpenError> {
        SqliteStore::open(path, self.clock.context(NODE)).await
    }

    /// Why the database at `path` is refused.
    async fn refusal(&self, path: &Path) -> OpenError {
        self.try_open(path).await.err().expect("it was opened")
    }
}

/// The database as anybody sees it.
fn look_into(path: &Path) -> Connection {
    Connection::open(path).unwrap()
}

/// The one value of a query.
#[track_caller]
fn value<T: rusqlite::types::FromSql>(connection: &Connection, sql: &str) -> T {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}
