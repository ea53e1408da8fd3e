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

use super::{MovedClock, NODE, sqlite_free};

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
        Arc::new(self.open_free(&self.path()).await.unwrap())
    }

    /// The store at `path`, once nobody has it open: a program that another test is
    /// starting has every file of this process for a moment.
    async fn open_free(&self, path: &Path) -> Result<SqliteStore, OpenError> {
        sqlite_free(path, || self.clock.context(NODE)).await
    }

    async fn try_open(&self, path: &Path) -> Result<SqliteStore, OpenError> {
        SqliteStore::open(path, self.clock.context(NODE)).await
    }

    /// Why the database at `path` is refused.
    async fn refusal(&self, path: &Path) -> OpenError {
        self.open_free(path).await.err().expect("it was opened")
    }

    /// Makes sure that the database at `path` is refused since somebody has it open.
    async fn assert_in_use(&self, path: &Path) {
        let refused = self.try_open(path).await.err().expect("it was opened");
        assert!(matches!(refused, OpenError::InUse(_)), "{refused}");
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
