//! Connections to the database: what a session is set to, and how long each
//! thing may take.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool::managed::{self, Metrics, RecycleResult};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};

use super::url::PostgresUrl;
use crate::task::repository::StoreError;

/// How long a connection may take to be made.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the database may work on a statement, waiting for locks included.
const STATEMENT_TIMEOUT: &str = "3s";
/// How long a transaction may stand open while nothing is asked: an instance
/// that was stopped in the middle of one holds its locks no longer.
const IDLE_IN_TRANSACTION_TIMEOUT: &str = "5s";
/// How long an answer is waited for, all in all: a little longer than the
/// database may work on it, for a database that is out of reach says nothing.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a session that was idle may take to show that it is still there.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a request waits for its turn on a connection of the pool.
const TURN_TIMEOUT: Duration = Duration::from_secs(2);

/// The database as sessions reach it.
#[derive(Clone)]
pub(super) struct Database {
    options: PgConnectOptions,
}

/// Makes the sessions that requests share.
pub(super) struct Sessions {
    database: Database,
    /// When one was last found lost.
    lost: Mutex<Option<Instant>>,
}

/// Sessions that requests share.
pub(super) type Pool = managed::Pool<Sessions>;

impl Database {
    pub(super) fn new(url: &PostgresUrl) -> Result<Self, sqlx::Error> {
        let options = url
            .options()
            .map_err(|problem| sqlx::Error::Configuration(problem.into()))?;
        Ok(Self {
            options: options.disable_statement_logging(),
        })
    }

    /// A session for reads and writes.
    pub(super) async fn connect(&self) -> Result<PgConnection, StoreError> {
        // It is large, rarely needed, and part of whatever wants a session.
        let connect = Box::pin(async {
            let mut connection = self.options.connect().await?;
            set_up(&mut connection).await?;
            Ok::<_, sqlx::Error>(connection)
        });
        within(CONNECT_TIMEOUT, connect).await
    }

    /// Not a store's session, but one in which a statement may take its time, as a
    /// migration does. Only to be reached the database may not, for one that is out
    /// of reach says nothing.
    pub(super) async fn connect_without_limits(&self) -> Result<PgConnection, sqlx::Error> {
        tokio::time::timeout(CONNECT_TIMEOUT, self.options.connect())
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }

    /// Up to `most` sessions, made when they are needed.
    pub(super) fn pool(self, most: usize) -> Result<Pool, managed::BuildError> {
        let sessions = Sessions {
            database: self,
            lost: Mutex::new(None),
        };
        Pool::builder(sessions)
            .max_size(most)
            .runtime(deadpool::Runtime::Tokio1)
            .wait_timeout(Some(TURN_TIMEOUT))
            .build()
    }
}

/// Sets what a store's session is set to: by a statement, since a proxy may refuse
/// what comes with the start of a session.
///
/// A commit must be on the disk before it is answered, whatever the database does
/// by default. Stronger settings, as for standbys, are left as they are.
async fn set_up(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(
        "SELECT set_config('statement_timeout', $1, false),
                set_config('idle_in_transaction_session_timeout', $2, false),
                CASE current_setting('synchronous_commit')
                    WHEN 'off' THEN set_config('synchronous_commit', 'on', false)
                END",
    )
    .bind(STATEMENT_TIMEOUT)
    .bind(IDLE_IN_TRANSACTION_TIMEOUT)
    .execute(connection)
    .await?;
    Ok(())
}

impl managed::Manager for Sessions {
    type Type = PgConnection;
    type Error = StoreError;

    async fn create(&self) -> Result<PgConnection, StoreError> {
        self.database.connect().await
    }

    /// Where one session is lost the others mostly are, too: none that was seen
    /// last before that is asked whether it is there. With a machine that is gone,
    /// which does not answer, each would cost its time.
    async fn recycle(
        &self,
        connection: &mut PgConnection,
        metrics: &Metrics,
    ) -> RecycleResult<StoreError> {
        let seen = metrics.recycled.unwrap_or(metrics.created);
        let lost = || self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if lost().is_some_and(|lost| seen < lost) {
            return Err(managed::RecycleError::message("others were lost"));
        }
        within(PING_TIMEOUT, connection.ping())
            .await
            .map_err(|error| {
                *lost() = Some(Instant::now());
                managed::RecycleError::Backend(error)
            })
    }
}

/// Whether another attempt may go through: the connection broke or was ended, or
/// another transaction was in the way.
pub(super) fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => match error.code().as_deref() {
            // Serialization failure and deadlock.
            Some("40001" | "40P01") => true,
            // The connection was ended, by an administrator, a crash or for being
            // idle; or this is no longer the server that takes writes.
            Some("57P01" | "57P02" | "57P03" | "57P05" | "25006") => true,
            // A class for what is wrong with the connection.
            Some(code) => code.starts_with("08"),
            None => false,
        },
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => true,
        _ => false,
    }
}

/// The outcome of `work` with the database, if it comes in time.
pub(super) async fn answered<T, E: Into<StoreError>>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, StoreError> {
    within(ANSWER_TIMEOUT, work).await
}

/// As [`answered`], within this time.
pub(super) async fn within<T, E: Into<StoreError>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, work).await {
        Ok(outcome) => outcome.map_err(Into::into),
        Err(_) => Err(StoreError::TimedOut(limit)),
    }
}

/// A session of the pool, for one piece of work. Unless that is finished, the
/// session is closed: it may be in the middle of anything.
pub(super) struct Session(Option<managed::Object<Sessions>>);

impl Session {
    /// Does `work` with a session of `pool`.
    pub(super) async fn work<T>(
        pool: &Pool,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut session = Self(Some(pool.get().await?));
        let Some(connection) = &mut session.0 else {
            return Err(StoreError::Closed);
        };
        let outcome = answered(work(connection)).await?;
        // Back to the pool.
        drop(session.0.take());
        Ok(outcome)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(unfinished) = self.0.take() {
            drop(managed::Object::take(unfinished));
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::failed(error)
    }
}
