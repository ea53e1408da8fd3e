//! Where tasks are kept: a backend in each folder, and what they share. They
//! implement [`crate::task::repository`].

mod dispatch;
mod given;
pub mod memory;
mod nodes;
mod outlook;
pub mod postgres;
mod pulse;
mod queue;
mod row;
pub mod schema;
pub mod sqlite;
mod url;
mod walk;

use std::num::NonZero;
use std::sync::Arc;

use deadpool::managed::{PoolError, TimeoutType};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::task::clock::SharedClock;
use crate::task::observer::TaskObserver;
use crate::task::repository::{StoreError, TaskRepository};
use crate::task::retry::RetryPolicy;

use self::memory::MemoryStore;
use self::postgres::PostgresStore;
use self::schema::Migrated;
use self::sqlite::SqliteStore;
pub use self::url::StoreUrl;

/// How many reads keep every core busy, and one for who comes next.
fn one_more_than_cores() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    cores.saturating_add(1)
}

/// Opens the store at `url`.
///
/// # Errors
///
/// [`OpenError`].
pub async fn open(
    url: &StoreUrl,
    context: StoreContext,
) -> Result<Arc<dyn TaskRepository>, OpenError> {
    Ok(match url {
        StoreUrl::Memory => Arc::new(MemoryStore::new(context)),
        StoreUrl::Sqlite(path) => Arc::new(SqliteStore::open(path, context).await?),
        StoreUrl::Postgres(url) => Arc::new(PostgresStore::open(url, context).await?),
    })
}

/// Brings the schema of the store at `url` up to date; `None` of a store that
/// has none.
///
/// # Errors
///
/// [`OpenError`].
pub async fn migrate(url: &StoreUrl) -> Result<Option<Migrated>, OpenError> {
    Ok(match url {
        StoreUrl::Memory => None,
        StoreUrl::Sqlite(path) => Some(sqlite::migrate(path)?),
        StoreUrl::Postgres(url) => Some(postgres::migrate(url).await?),
    })
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The SQLite store.
    #[error(transparent)]
    Sqlite(#[from] sqlite::OpenError),
    /// The PostgreSQL store.
    #[error(transparent)]
    Postgres(#[from] postgres::OpenError),
}

impl From<PoolError<StoreError>> for StoreError {
    fn from(error: PoolError<StoreError>) -> Self {
        match error {
            PoolError::Timeout(TimeoutType::Wait) => Self::Overloaded,
            PoolError::Backend(error) => error,
            PoolError::Closed => Self::Closed,
            error => Self::failed(error),
        }
    }
}

/// What every backend is opened with.
#[derive(Clone)]
pub struct StoreContext {
    /// The node that ids are made for; the store's choice if `None`, which is 0
    /// where no other instance shares the store.
    pub node: Option<u16>,
    /// The clock of ids and expiry.
    pub clock: SharedClock,
    /// Whether a schema that is behind is brought up to date, or else refused.
    pub migrate: bool,
    /// The most connections to a database server, from 3 on.
    pub max_connections: u16,
    /// The limits of attempts, for those whose lease ends.
    pub attempts: RetryPolicy,
    /// Who is told what the store does.
    pub observer: Arc<dyn TaskObserver>,
    /// Where the store's work beside requests runs: no task is spawned elsewhere.
    /// Who opens the store waits for it to end.
    pub tasks: TaskTracker,
    /// Ends that work, at the next point where it waits. A store that is closed
    /// or dropped ends its own: it takes a child of this token.
    pub stop: CancellationToken,
}
