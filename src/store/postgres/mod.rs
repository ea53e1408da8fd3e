//! The store that instances share: PostgreSQL, or an engine that speaks its
//! protocol, with group commit in each instance.
//!
//! ```text
//! create ──> queue ──> writer ──> one statement, one commit ──> an answer to each
//! reads, steps ──> pool of connections
//! ```
//!
//! Every task id carries the number of the node that made it; which instance has
//! which node is a matter of leases (`node/`). That a key makes one task, on
//! whichever instance it arrives, is a matter of the table `idempotency`.

mod batch;
mod connection;
mod expiry;
mod migration;
mod node;
mod reader;
mod step;
mod url;
mod writer;

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::postgres::PgConnection;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::connection::{Database, Pool, Session, answered};
use self::node::{Keeper, NoId, NodeIds};
pub use self::url::PostgresUrl;
use self::writer::{CreateQueue, Writer};
use super::row::{NewRow, Request};
use super::schema::{Migrated, SchemaError};
use super::{Created, StoreContext, StoreError, TaskRepository};
use crate::task::clock::SharedClock;
use crate::task::idempotency::Idempotency;
use crate::task::life_cycle::Transition;
use crate::task::list::Page;
use crate::task::{Identifier, ImportResult, NewTask, Task, TaskId, TenantId};

/// How long a database that is not up yet is waited for at start.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How often it is tried meanwhile.
const START_PERIOD: Duration = Duration::from_millis(500);

/// Why a store could not be opened. The URL in it has no password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file that the URL names cannot be read.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The schema is not, and cannot be made, what this program needs; or the
    /// database cannot be reached at all.
    #[error("{url}: {error}")]
    Schema {
        /// The database.
        url: PostgresUrl,
        /// Why.
        error: SchemaError,
    },
    /// The database can be reached, but not worked with: for example because no
    /// node is free.
    #[error("{url}: {error}")]
    Unusable {
        /// The database.
        url: PostgresUrl,
        /// Why.
        error: StoreError,
    },
}

/// Brings the schema of the database up to date.
///
/// # Errors
///
/// [`OpenError`], but for [`OpenError::Unusable`].
pub async fn migrate(url: &PostgresUrl) -> Result<Migrated, OpenError> {
    prepare_schema(url, true).await
}

async fn prepare_schema(url: &PostgresUrl, migrate: bool) -> Result<Migrated, OpenError> {
    // Who connects would be told of it without its name.
    for path in url.files() {
        tokio::fs::read(&path)
            .await
            .map_err(|error| OpenError::File { path, error })?;
    }
    let asked = Instant::now();
    loop {
        match migration::prepare(url, migrate).await {
            Err(SchemaError::Failed(error))
                if is_not_up_yet(&error) && asked.elapsed() < START_TIMEOUT =>
            {
                tracing::warn!(%error, "waits for the database");
                tokio::time::sleep(START_PERIOD).await;
            }
            prepared => {
                return prepared.map_err(|error| OpenError::Schema {
                    url: url.clone(),
                    error,
                });
            }
        }
    }
}

/// Whether a database that says this may soon be there.
fn is_not_up_yet(error: &sqlx::Error) -> bool {
    match error {
        // A certificate that is not trusted comes as invalid data.
        sqlx::Error::Io(error) => !matches!(
            error.kind(),
            ErrorKind::InvalidData | ErrorKind::PermissionDenied
        ),
        sqlx::Error::Database(error) => matches!(
            error.code().as_deref(),
            // Starting up or shutting down, and too many connections.
            Some("57P03" | "57P01" | "53300")
        ),
        _ => false,
    }
}

/// Tasks in a PostgreSQL database.
pub struct PostgresStore {
    ids: Arc<NodeIds>,
    queue: Arc<CreateQueue>,
    pool: Pool,
    clock: SharedClock,
    writer: Mutex<Option<JoinHandle<()>>>,
    expiry: JoinHandle<()>,
}

impl PostgresStore {
    /// Opens the database, and takes a node of it.
    ///
    /// A database that is not up yet is waited for, half a minute; a certain node
    /// that is still leased, until a lease that nobody renews would be over.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub async fn open(url: &PostgresUrl, context: StoreContext) -> Result<Self, OpenError> {
        prepare_schema(url, context.migrate).await?;
        Self::start(url, context)
            .await
            .map_err(|error| OpenError::Unusable {
                url: url.clone(),
                error,
            })
    }

    async fn start(url: &PostgresUrl, context: StoreContext) -> Result<Self, StoreError> {
        let database = Database::new(url)?;
        // One connection is the writer's.
        let pool_size = usize::from(context.max_connections)
            .saturating_sub(1)
            .max(1);
        let pool = database
            .clone()
            .pool(pool_size)
            .map_err(StoreError::failed)?;
        let mut connection = database.connect().await?;
        let clock = context.clock;
        let mut keeper = Keeper::new(context.node, clock.clone());
        first_lease(&mut keeper, &mut connection).await?;
        let (ids, queue) = (keeper.ids(), Arc::new(CreateQueue::default()));
        let writer = Writer::new(database, connection, keeper, clock.clone());
        Ok(Self {
            ids,
            writer: Mutex::new(Some(tokio::spawn(writer.run(Arc::clone(&queue))))),
            queue,
            expiry: tokio::spawn(expiry::run(pool.clone(), clock.clone())),
            pool,
            clock,
        })
    }

    /// Takes the request in, under the next id; leaves it where it is when there
    /// is no id for it now.
    fn push_create(
        &self,
        request: &mut Option<Request>,
    ) -> Result<super::queue::Pending<Created>, NoId> {
        self.queue.push_with(|| {
            let id = self.ids.next_id(Instant::now())?;
            Ok(NewRow::new(id, request)?)
        })
    }

    async fn work<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        Session::work(&self.pool, work).await
    }
}

/// Takes the first lease. A node that is held by an instance that is gone is free
/// when its lease is over.
async fn first_lease(keeper: &mut Keeper, connection: &mut PgConnection) -> Result<(), StoreError> {
    let asked = Instant::now();
    loop {
        let now = Instant::now();
        match answered(keeper.keep(connection, now)).await {
            Err(error) if keeper.waits_for_its_node() && asked.elapsed() < node::LONGEST_WAIT => {
                tracing::warn!(%error, "waits for its node");
                tokio::time::sleep(START_PERIOD).await;
            }
            kept => return kept,
        }
    }
}

impl TaskRepository for PostgresStore {
    fn create(
        &self,
        task: NewTask,
        idempotency: Option<Idempotency>,
    ) -> BoxFuture<'_, Result<Created, StoreError>> {
        Box::pin(async move {
            let mut request = Some(Request { task, idempotency });
            let pending = loop {
                match self.push_create(&mut request) {
                    Ok(pending) => break pending,
                    Err(NoId::Wait(wait)) => tokio::time::sleep(wait).await,
                    Err(NoId::Lease) => self.ids.renewal().await,
                    Err(NoId::Store(error)) => return Err(error),
                }
            };
            pending.committed().await
        })
    }

    fn find<'a>(
        &'a self,
        tenant_id: &'a TenantId,
        id: TaskId,
    ) -> BoxFuture<'a, Result<Option<Task>, StoreError>> {
        Box::pin(self.work(async move |session| reader::find(session, tenant_id, id).await))
    }

    fn list<'a>(
        &'a self,
        tenant_id: &'a TenantId,
        page: Page,
    ) -> BoxFuture<'a, Result<Vec<Task>, StoreError>> {
        Box::pin(self.work(async move |session| reader::list(session, tenant_id, page).await))
    }

    fn newest_transfer<'a>(
        &'a self,
        tenant_id: &'a TenantId,
        src_user_id: &'a Identifier,
    ) -> BoxFuture<'a, Result<Option<Task>, StoreError>> {
        Box::pin(self.work(async move |session| {
            reader::newest_transfer(session, tenant_id, src_user_id).await
        }))
    }

    fn newest_import<'a>(
        &'a self,
        tenant_id: &'a TenantId,
        user_id: &'a Identifier,
    ) -> BoxFuture<'a, Result<Option<Task>, StoreError>> {
        Box::pin(
            self.work(async move |session| {
                reader::newest_import(session, tenant_id, user_id).await
            }),
        )
    }

    fn import_result(&self, id: TaskId) -> BoxFuture<'_, Result<ImportResult, StoreError>> {
        Box::pin(self.work(async move |session| reader::import_result(session, id).await))
    }

    fn take_step(
        &self,
        id: TaskId,
        step: Transition,
    ) -> BoxFuture<'_, Result<Option<Task>, StoreError>> {
        let now = self.clock.now();
        Box::pin(self.work(async move |session| step::take(session, id, step, now).await))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.expiry.abort();
            self.pool.close();
            self.queue.close();
            let writer = self
                .writer
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if let Some(writer) = writer {
                // It ends as soon as it has committed what waits.
                if writer.await.is_err() {
                    tracing::error!("the writer ended badly");
                }
            }
        })
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.expiry.abort();
        self.queue.close();
    }
}
