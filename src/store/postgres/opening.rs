//! From a URL to a database that can be worked with.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::time::Instant;

use super::connection::{ANSWER_TIMEOUT, Database, Pool, answered};
use super::fitness::{self, Unfit};
use super::node::{self, LeaseKeeper};
use super::{PostgresUrl, migration};
use crate::store::StoreContext;
use crate::store::schema::{Migrated, SchemaError};
use crate::task::repository::StoreError;

/// How long a database that is not up yet is waited for at start.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// The time between two attempts meanwhile.
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
    /// The database can be reached, but is not one to work with.
    #[error("{url}: {error}")]
    Unfit {
        /// The database.
        url: PostgresUrl,
        /// Why.
        error: Unfit,
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
    pub(super) keeper: LeaseKeeper,
}

/// Opens the database, and takes a node of it.
pub(super) async fn open(url: &PostgresUrl, context: &StoreContext) -> Result<Opened, OpenError> {
    once_it_is_up(url, async |database| {
        prepare(database, context.migrate).await?;
        start(database, context).await
    })
    .await
}

/// Brings the schema of the database up to date.
///
/// # Errors
///
/// [`OpenError`], but for [`OpenError::Unusable`].
pub async fn migrate(url: &PostgresUrl) -> Result<Migrated, OpenError> {
    once_it_is_up(url, async |database| prepare(database, true).await).await
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The outcome of `attempt` once the database is up. What it waits for is said
/// once, not with each attempt.
async fn once_it_is_up<T>(
    url: &PostgresUrl,
    attempt: impl AsyncFn(&Database) -> Result<T, Failure>,
) -> Result<T, OpenError> {
    // Who connects would be told of it without its name.
    for path in url.files() {
        tokio::fs::read(&path)
            .await
            .map_err(|error| OpenError::File { path, error })?;
    }
    let asked = Instant::now();
    let mut told = None;
    let failure = loop {
        let attempt = async { attempt(&Database::new(url).map_err(SchemaError::from)?).await };
        match attempt.await {
            Ok(outcome) => {
                if told.is_some() {
                    tracing::info!("the database is there");
                }
                return Ok(outcome);
            }
            Err(error) if error.may_pass() && asked.elapsed() < START_TIMEOUT => {
                let error = error.to_string();
                if told.as_ref() != Some(&error) {
                    let most = START_TIMEOUT.as_secs();
                    tracing::warn!(%error, "waits for the database, {most} s at most");
                    told = Some(error);
                }
                tokio::time::sleep(START_PERIOD).await;
            }
            Err(error) => break error,
        }
    };
    let url = url.clone();
    Err(match failure {
        Failure::Schema(error) => OpenError::Schema { url, error },
        Failure::Unfit(error) => OpenError::Unfit { url, error },
        Failure::Store(error) => OpenError::Unusable { url, error },
    })
}

/// Sees to it that the database is fit and its schema up to date.
async fn prepare(database: &Database, migrate: bool) -> Result<Migrated, Failure> {
    let own_session = async {
        let mut session = fitness::own_session(database).await??;
        if !fitness::is_writable(&mut session).await? {
            return Err(Unfit::ReadOnly.into());
        }
        Ok::<_, Failure>(session)
    };
    let mut session = tokio::time::timeout(ANSWER_TIMEOUT, own_session)
        .await
        .unwrap_or_else(|_| Err(StoreError::TimedOut(ANSWER_TIMEOUT).into()))?;
    let migrated = migration::prepare(database, &mut session, migrate).await?;
    session.close().await?;
    Ok(migrated)
}

async fn start(database: &Database, context: &StoreContext) -> Result<Opened, Failure> {
    // Creates have a connection of their own, and transitions have two.
    let pool_size = context.max_connections.saturating_sub(3).max(1);
    let pool = database
        .clone()
        .pool(usize::from(pool_size))
        .map_err(StoreError::failed)?;
    let mut connection = database.connect().await?;
    if let Some(missing) = fitness::missing_privilege(&mut connection).await? {
        return Err(missing.into());
    }
    let mut keeper = LeaseKeeper::new(context.node, context.clock.clone());
    first_lease(&mut keeper, &mut connection).await?;
    Ok(Opened {
        database: database.clone(),
        pool,
        connection,
        keeper,
    })
}

/// Takes the first lease. A node that is held by an instance that is gone is free
/// when its lease is over.
async fn first_lease(
    keeper: &mut LeaseKeeper,
    connection: &mut PgConnection,
) -> Result<(), StoreError> {
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

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Schema(error.into())
    }
}

impl Failure {
    /// Whether another attempt may go through soon.
    fn may_pass(&self) -> bool {
        match self {
            Self::Schema(SchemaError::Postgres(error)) => is_not_up_yet(error),
            Self::Store(StoreError::Failed(error)) => error
                .downcast_ref::<sqlx::Error>()
                .is_some_and(is_not_up_yet),
            // What does not answer yet, and what is to become the primary.
            Self::Store(StoreError::TimedOut(_)) | Self::Unfit(Unfit::ReadOnly) => true,
            _ => false,
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
            // Starting up or shutting down; too many connections; a database that
            // takes none; a server that does not take writes.
            Some("57P01" | "57P02" | "57P03" | "53300" | "55000" | "25006")
            // What proxies say that have no server.
            | Some("08000" | "08001" | "08003" | "08004" | "08006" | "08P01" | "58000")
        ),
        _ => false,
    }
}
