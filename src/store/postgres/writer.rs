//! The writer: one task with one connection, which commits what waits in the
//! queue, all of it at once, and keeps the instance's node leased.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::time::Instant;

use super::batch::{Batch, BatchError};
use super::connection::{ANSWER_TIMEOUT, Database, answered, within};
use super::node::Keeper;
use crate::store::queue::{self, CloseOnDrop, Job, Queue};
use crate::store::row::NewRow;
use crate::task::clock::SharedClock;
use crate::task::repository::{Created, StoreError};
use crate::task::{TaskId, idempotency};

/// The creates that wait for the writer.
pub(super) type CreateQueue = Queue<NewRow, Created>;

/// How often a batch is tried, when what fails is not the database's answer but
/// the way to it.
const ATTEMPTS: u32 = 3;
/// How long the writer rests after a failure, so that a database that is away is
/// not asked without end.
const REST: Duration = Duration::from_millis(50);

/// The writer.
pub(super) struct Writer {
    database: Database,
    connection: Option<PgConnection>,
    keeper: Keeper,
    clock: SharedClock,
}

/// Why an attempt at a batch failed.
enum Failure {
    /// The connection broke or was ended, or another transaction was in the way:
    /// another attempt may go through. Whether this one did is unknown.
    Passing(StoreError),
    /// Another attempt would end alike, or there is no time for one.
    Lasting(StoreError),
}

impl Writer {
    /// A writer with this connection; the keeper holds a node already.
    pub(super) fn new(
        database: Database,
        connection: PgConnection,
        keeper: Keeper,
        clock: SharedClock,
    ) -> Self {
        Self {
            database,
            connection: Some(connection),
            keeper,
            clock,
        }
    }

    /// Commits until the queue is closed and drained, then gives the node back.
    pub(super) async fn run(mut self, queue: Arc<CreateQueue>) {
        let _closed = CloseOnDrop(&queue);
        loop {
            let jobs = tokio::select! {
                biased;
                () = self.keeper.due() => {
                    self.keep().await;
                    continue;
                }
                jobs = queue.take() => jobs,
            };
            match jobs {
                Some(jobs) => self.commit(jobs).await,
                None => break,
            }
        }
        self.end().await;
    }

    /// The connection; made anew where there is none.
    async fn connection(&mut self) -> Result<PgConnection, StoreError> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => self.database.connect().await,
        }
    }

    async fn keep(&mut self) {
        let now = Instant::now();
        let kept = async {
            let mut connection = self.connection().await?;
            let patience = self.keeper.patience(now);
            within(patience, self.keeper.keep(&mut connection, now)).await?;
            self.connection = Some(connection);
            Ok(())
        };
        let kept: Result<(), StoreError> = kept.await;
        if let Err(error) = kept {
            self.keeper.failed(error, Instant::now());
        }
    }

    async fn commit(&mut self, mut jobs: Vec<Job<NewRow, Created>>) {
        jobs.retain(Job::is_awaited);
        if jobs.is_empty() {
            return;
        }
        match self.try_commit(&jobs).await {
            Ok(done) => queue::answer(jobs, done),
            Err(error) => {
                queue::fail(jobs, &error);
                tokio::time::sleep(REST).await;
            }
        }
    }

    async fn try_commit(
        &mut self,
        jobs: &[Job<NewRow, Created>],
    ) -> Result<Vec<Created>, StoreError> {
        let batch = Batch::new(jobs.iter().map(|job| &job.work)).map_err(StoreError::failed)?;
        let mut attempt = 1;
        loop {
            match self.attempt(&batch, attempt > 1).await {
                Ok(done) => return Ok(done),
                Err(Failure::Passing(error)) if attempt < ATTEMPTS => {
                    tracing::warn!(%error, attempt, "the commit is tried again");
                    attempt = attempt.saturating_add(1);
                }
                Err(Failure::Passing(error) | Failure::Lasting(error)) => return Err(error),
            }
        }
    }

    /// Tries to commit; whoever tries again does not know whether it was
    /// committed before. After a failure the connection is a new one.
    async fn attempt(&mut self, batch: &Batch<'_>, again: bool) -> Result<Vec<Created>, Failure> {
        let expired = TaskId::first_at(idempotency::expiry(self.clock.now()));
        let mut connection = self.connection().await.map_err(Failure::Lasting)?;
        // Not `answered`: the kind of the error matters.
        let committed = batch.commit(&mut connection, expired, again);
        match tokio::time::timeout(ANSWER_TIMEOUT, committed).await {
            Ok(Ok(done)) => {
                self.connection = Some(connection);
                Ok(done)
            }
            Ok(Err(error)) if is_passing(&error) => {
                Err(Failure::Passing(StoreError::failed(error)))
            }
            Ok(Err(error)) => Err(Failure::Lasting(StoreError::failed(error))),
            Err(_) => Err(Failure::Lasting(StoreError::TimedOut(ANSWER_TIMEOUT))),
        }
    }

    /// Gives the node back. A lease that cannot be given back ends by itself.
    async fn end(mut self) {
        let released = async {
            let mut connection = self.living_connection().await?;
            answered(self.keeper.release(&mut connection)).await
        };
        if let Err(error) = released.await {
            tracing::warn!(%error, "the node could not be given back; its lease will end");
        }
    }

    /// The connection, if it was not lost since it was last used, or a new one.
    async fn living_connection(&mut self) -> Result<PgConnection, StoreError> {
        let mut connection = self.connection().await?;
        match answered(connection.ping()).await {
            Ok(()) => Ok(connection),
            Err(_) => self.database.connect().await,
        }
    }
}

/// Whether another attempt may go through.
fn is_passing(error: &BatchError) -> bool {
    match error {
        BatchError::KeyGone => true,
        BatchError::NotJson(_) => false,
        BatchError::Sqlx(sqlx::Error::Database(error)) => match error.code().as_deref() {
            // Serialization failure and deadlock.
            Some("40001" | "40P01") => true,
            // The connection was ended, by an administrator, a crash or for being
            // idle; or this is no longer the server that takes writes.
            Some("57P01" | "57P02" | "57P03" | "57P05" | "25006") => true,
            // A class for what is wrong with the connection.
            Some(code) if code.starts_with("08") => true,
            _ => false,
        },
        BatchError::Sqlx(sqlx::Error::Io(_) | sqlx::Error::Protocol(_)) => true,
        BatchError::Sqlx(_) => false,
    }
}
