//! What every store does: one suite, run on each backend.

mod claiming;
mod claims_model;
mod closing;
mod creating;
mod laws;
mod load;
mod reading;
mod shared_keys;
mod steps;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use kootask::store::memory::MemoryStore;
use kootask::store::postgres::PostgresStore;
use kootask::task::claim::ClaimRequest;
use kootask::task::repository::TaskRepository;
use rusqlite::Connection;
use tempfile::TempDir;

use super::work::{claim, nobodys};
use super::{MovedClock, NODE, create_new, sqlite_free, transfer};
use crate::support::postgres::TestDatabase;

/// A kind of store and what it stands on, which outlives the store.
trait Backend: Default {
    /// Opens the store, the same one each time if it is durable.
    async fn open(&self, clock: &Arc<MovedClock>, node: u16) -> Arc<dyn TaskRepository>;

    /// Whether a store that is closed and opened again is the same one.
    const IS_DURABLE: bool = true;

    /// Whether time is that of a database: it goes on while the store is closed, and
    /// the process's clock has no say in it.
    const HAS_A_CLOCK: bool = false;

    /// How late a store may notice what the time has done.
    const LATENESS: Duration = Duration::ZERO;

    /// Opens a store that has this many fresh transfers of the tenant.
    async fn open_with(&self, clock: &Arc<MovedClock>, tasks: usize) -> Arc<dyn TaskRepository>;

    /// Lets time pass, and what is due at its end happen.
    async fn pass(&self, clock: &MovedClock, _: &Arc<dyn TaskRepository>, time: SignedDuration) {
        clock.pass(time);
    }
}

#[derive(Default)]
struct Memory;

impl Backend for Memory {
    const IS_DURABLE: bool = false;

    async fn open(&self, clock: &Arc<MovedClock>, node: u16) -> Arc<dyn TaskRepository> {
        Arc::new(MemoryStore::new(clock.context(node)))
    }

    async fn open_with(&self, clock: &Arc<MovedClock>, tasks: usize) -> Arc<dyn TaskRepository> {
        let store = self.open(clock, NODE).await;
        for _ in 0..tasks {
            create_new(&store, transfer("source"), None).await;
        }
        store
    }
}

/// Copies the one task that there is, to older ids, a millisecond apart.
fn copy_task(node: &str, numbers: &str) -> String {
    let columns = "tenant_id, user_id, task_type, status, locale, init_params, created_by";
    format!(
        "INSERT INTO task ({columns}{node}, id)
         SELECT {columns}{node}, id - number * 8388608 FROM task CROSS JOIN {numbers}"
    )
}

struct Sqlite(TempDir);

impl Default for Sqlite {
    fn default() -> Self {
        Self(TempDir::new().unwrap())
    }
}

impl Sqlite {
    fn path(&self) -> PathBuf {
        self.0.path().join("kootask.db")
    }
}

/// Makes the task that others are copies of.
async fn create_first(backend: &impl Backend, clock: &Arc<MovedClock>) {
    let store = backend.open(clock, NODE).await;
    create_new(&store, transfer("source"), None).await;
    store.close().await;
}

impl Backend for Sqlite {
    async fn open(&self, clock: &Arc<MovedClock>, node: u16) -> Arc<dyn TaskRepository> {
        let opened = sqlite_free(&self.path(), || clock.context(node)).await;
        Arc::new(opened.unwrap())
    }

    async fn open_with(&self, clock: &Arc<MovedClock>, tasks: usize) -> Arc<dyn TaskRepository> {
        create_first(self, clock).await;
        let numbers = format!(
            "(WITH RECURSIVE series (number) AS (
                 SELECT 1 UNION ALL SELECT number + 1 FROM series WHERE number < {tasks} - 1
             ) SELECT number FROM series)"
        );
        let connection = Connection::open(self.path()).unwrap();
        connection.execute_batch(&copy_task("", &numbers)).unwrap();
        drop(connection);
        self.open(clock, NODE).await
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

    async fn open_with(&self, clock: &Arc<MovedClock>, tasks: usize) -> Arc<dyn TaskRepository> {
        create_first(self, clock).await;
        let numbers = format!("generate_series(1::bigint, {tasks} - 1) AS series (number)");
        let copy = copy_task(", node", &numbers);
        tokio::task::block_in_place(|| self.0.sql(&copy));
        self.open(clock, NODE).await
    }
}

/// PostgreSQL with a clock that a test can move: functions of these names stand before
/// the database's own in the search path. The leases of nodes and the expiry of keys go
/// by `now()`, which stays what it is.
#[derive(Default)]
struct TimedPostgres(Postgres);

impl TimedPostgres {
    async fn prepare(&self) {
        let TestDatabase { url } = &self.0.0;
        kootask::store::postgres::migrate(&url.parse().unwrap())
            .await
            .unwrap();
        let name = self.0.0.name();
        let function = |name: &str| {
            format!(
                "CREATE OR REPLACE FUNCTION public.{name}() RETURNS timestamptz
                     LANGUAGE sql AS 'SELECT pg_catalog.{name}() + passed FROM test_clock';"
            )
        };
        self.sql(&format!(
            "CREATE TABLE IF NOT EXISTS test_clock AS SELECT interval '0' AS passed;
             {}{}
             ALTER DATABASE {name} SET search_path = public, pg_catalog",
            function("clock_timestamp"),
            function("statement_timestamp"),
        ));
    }

    /// Beside the stores, which go on meanwhile.
    fn sql(&self, statements: &str) {
        tokio::task::block_in_place(|| self.0.0.sql(statements));
    }
}

impl Backend for TimedPostgres {
    const HAS_A_CLOCK: bool = true;

    // Leases are counted every two seconds, and work is looked for every second.
    const LATENESS: Duration = Duration::from_secs(5);

    async fn open(&self, _: &Arc<MovedClock>, node: u16) -> Arc<dyn TaskRepository> {
        self.prepare().await;
        self.0.open(&MovedClock::new(), node).await
    }

    async fn open_with(&self, clock: &Arc<MovedClock>, tasks: usize) -> Arc<dyn TaskRepository> {
        self.prepare().await;
        self.0.open_with(clock, tasks).await
    }

    async fn pass(
        &self,
        clock: &MovedClock,
        store: &Arc<dyn TaskRepository>,
        time: SignedDuration,
    ) {
        clock.pass(time);
        let millis = time.as_millis();
        self.sql(&format!(
            "DO $$ BEGIN
                 UPDATE test_clock SET passed = passed + interval '{millis} ms';
                 COMMIT;
                 FOR round IN 1..200 LOOP
                     IF NOT EXISTS (SELECT FROM lease WHERE ends_at <= clock_timestamp()) THEN
                         RETURN;
                     END IF;
                     PERFORM pg_sleep(0.05);
                 END LOOP;
                 RAISE 'leases that are over do not end';
             END $$"
        ));
        // As long as somebody waits, what is due is looked for each second.
        let looked = ClaimRequest {
            wait: Duration::from_secs(1),
            ..nobodys()
        };
        assert!(claim(store, looked).await.is_empty());
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
    (backends whose time is the tests: $($test:ident,)*) => {
        contract!(@ memory_timed, Memory, $($test,)*);
        contract!(@ sqlite_timed, Sqlite, $($test,)*);
        contract!(@ postgres_timed, TimedPostgres, $($test,)*);
    };
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
