//! What every store does: one suite, run on each backend.

mod claiming;
mod claims_model;
mod closing;
mod creating;
mod laws;
mod reading;
mod shared_keys;
mod steps;

use std::sync::Arc;

use kootask::store::memory::MemoryStore;
use kootask::store::postgres::PostgresStore;
use kootask::store::sqlite::SqliteStore;
use kootask::task::repository::TaskRepository;
use tempfile::TempDir;

use super::MovedClock;
use crate::support::postgres::TestDatabase;

/// A kind of store and what it stands on, which outlives the store.
trait Backend: Default {
    /// Opens the store, the same one each time if it is durable.
    async fn open(&self, clock: &Arc<MovedClock>, node: u16) -> Arc<dyn TaskRepository>;

    /// Whether a store that is closed and opened again is the same one.
    const IS_DURABLE: bool = true;
}

#[derive(Default)]
struct Memory;

impl Backend for Memory {
    const IS_DURABLE: bool = false;

    async fn open(&self, clock: &Arc<MovedClock>, node: u16) -> Arc<dyn TaskRepository> {
        Arc::new(MemoryStore::new(clock.context(node)))
    }
}

struct Sqlite(TempDir);

impl Default for Sqlite {
    fn default() -> Self {
        Self(TempDir::new().unwrap())
    }
}

impl Backend for Sqlite {
    async fn open(&self, clock: &Arc<MovedClock>, node: u16) -> Arc<dyn TaskRepository> {
        let path = self.0.path().join("kootask.db");
        Arc::new(SqliteStore::open(&path, clock.context(node)).await.unwrap())
    }
}

struct Postgres(TestDatabase);

impl Default for Postgres {
    fn default() -> Self {
        Self(TestDatabase::shared())
    }
}

impl Backend for Postgres {
    async fn open(&self, clock: &Arc<MovedClock>, node: u16) -> Arc<dyn TaskRepository> {
        let url = self.0.url.parse().unwrap();
        Arc::new(
            PostgresStore::open(&url, clock.context(node))
                .await
                .unwrap(),
        )
    }
}

/// Makes a test of each function for each backend; a new backend is a line in
/// each arm that it belongs to.
macro_rules! contract {
    (every backend: $($test:ident,)*) => {
        contract!(@ memory, Memory, $($test,)*);
        contract!(@ sqlite, Sqlite, $($test,)*);
        contract!(@ postgres, Postgres, $($test,)*);
    };
    // Their time is that of the tests' clock.
    (backends of one process: $($test:ident,)*) => {
        contract!(@ memory_single, Memory, $($test,)*);
        contract!(@ sqlite_single, Sqlite, $($test,)*);
    };
    (durable backends of one process: $($test:ident,)*) => {
        contract!(@ sqlite_single_reopened, Sqlite, $($test,)*);
    };
    (durable backends: $($test:ident,)*) => {
        contract!(@ sqlite_reopened, Sqlite, $($test,)*);
        contract!(@ postgres_reopened, Postgres, $($test,)*);
    };
    (backends with every node: $($test:ident,)*) => {
        contract!(@ memory_alone, Memory, $($test,)*);
        contract!(@ sqlite_alone, Sqlite, $($test,)*);
    };
    (backends that share nodes: $($test:ident,)*) => {
        contract!(@ postgres_shared, Postgres, $($test,)*);
    };
    (@ $module:ident, $backend:ident, $($test:ident,)*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let backend = crate::store::contract::$backend::default();
                    tokio::time::timeout(crate::store::LIMIT, super::$test(&backend)).await.unwrap();
                }
            )*
        }
    };
}

use contract;
