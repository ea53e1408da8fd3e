//! From a URL to a database that can be worked with.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use tokio::time::Instant;

use super::connection::{Database, Pool, answered};
use super::node::{self, Keeper};
use super::{PostgresUrl, migration};
use crate::store::StoreContext;
use crate::store::schema::{Migrated, SchemaError};
use crate::task::repository::StoreError;

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

/// What a store works with.
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) pool: Pool,
    /// The writer's own.
    pub(super) connection: PgConnection,
    /// It holds a node.
    pub(super) keeper: Keeper,
}

/// Opens the database, and takes a node of it.
pub(super) async fn open(url: &PostgresUrl, context: &StoreContext) -> Result<Opened, OpenError> {
    prepare_schema(url, context.migrate).await?;
    start(url, context)
        .await
        .map_err(|error| OpenError::Unusable {
            url: url.clone(),
            error,
        })
}

async fn start(url: &PostgresUrl, context: &StoreContext) -> Result<Opened, StoreError> {
    let database = Database::new(url)?;
    // One connection is the writer's.
    let pool_size = context.max_connections.saturating_sub(1).max(1);
    let pool = database
        .clone()
        .pool(usize::from(pool_size))
        .map_err(StoreError::failed)?;
    let mut connection = database.connect().await?;
    let mut keeper = Keeper::new(context.node, context.clock.clone());
    first_lease(&mut keeper, &mut connection).await?;
    Ok(Opened {
        database,
        pool,
        connection,
        keeper,
    })
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

/// Brings the schema of the database up to date.
///
/// # Errors
///
/// [`OpenError`], but for [`OpenError::Unusable`].
pub async fn migrate(url: &PostgresUrl) -> Result<Migrated, OpenError> {
    prepare_schema(url, true).await
}

/// Sees to it that the schema is up to date, once the database is up.
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
