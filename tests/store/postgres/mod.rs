//! What only the PostgreSQL store does.

mod access;
mod claims;
mod clocks;
mod completions;
mod durability;
mod expiry;
mod keys;
mod lost_answer;
mod lost_node;
mod nodes;
mod opening;
mod overload;
mod plans;
mod poolers;
mod proxy;
mod standby;
mod tls;

use std::sync::Arc;

use kootask::store::StoreContext;
use kootask::store::postgres::{OpenError, PostgresStore, PostgresUrl};
use kootask::task::repository::TaskRepository;

use super::{LIMIT, MovedClock, NODE};
use crate::support::postgres::TestDatabase;

/// A database of the test's own and the clock of the stores on it.
struct Place {
    database: TestDatabase,
    clock: Arc<MovedClock>,
}

impl Place {
    /// A place with an empty database.
    fn new() -> Self {
        Self::on(TestDatabase::shared())
    }

    fn on(database: TestDatabase) -> Self {
        Self {
            database,
            clock: MovedClock::new(),
        }
    }

    /// A place whose database has its schema.
    async fn migrated() -> Self {
        let place = Self::new();
        kootask::store::postgres::migrate(&place.url())
            .await
            .unwrap();
        place
    }

    fn url(&self) -> PostgresUrl {
        self.database.url.parse().unwrap()
    }

    /// What a store on this node is opened with; on any, if `None`.
    fn context(&self, node: Option<u16>) -> StoreContext {
        StoreContext {
            node,
            ..self.clock.context(NODE)
        }
    }

    async fn open(&self, node: Option<u16>) -> Arc<dyn TaskRepository> {
        open(&self.url(), self.context(node)).await.unwrap()
    }

    /// The one number that a query returns.
    #[track_caller]
    fn number(&self, query: &str) -> i64 {
        self.database.sql(query).parse().unwrap()
    }
}

/// Opens a store, within [`LIMIT`].
async fn open(
    url: &PostgresUrl,
    context: StoreContext,
) -> Result<Arc<dyn TaskRepository>, OpenError> {
    let opened = tokio::time::timeout(LIMIT, PostgresStore::open(url, context))
        .await
        .expect("it is neither opened nor refused");
    opened.map(|store| Arc::new(store) as Arc<dyn TaskRepository>)
}

/// Why a store cannot be opened.
async fn refused(url: &PostgresUrl, context: StoreContext) -> OpenError {
    match open(url, context).await {
        Ok(_) => panic!("it was opened"),
        Err(refused) => refused,
    }
}
