//! What only the SQLite store does.

mod clock;
mod index;
mod opening;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kootask::store::sqlite::SqliteStore;
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
        Arc::new(
            SqliteStore::open(&self.path(), self.clock.context(NODE))
                .await
                .unwrap(),
        )
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
