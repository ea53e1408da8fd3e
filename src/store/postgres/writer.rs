//! The writer: one task with one connection, which commits what waits in the
//! queue, all of it at once, and keeps the instance's node leased.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::time::Instant;

use super::batch::{Batch, BatchError};
use super::connection::{self, ANSWER_TIMEOUT, Database, answered, within};
use super::locked_keys::{self, is_lock_timeout};
use super::node::LeaseKeeper;
use super::transition::Fresh;
use super::writer_connection::WriterConnection;
use crate::store::pulse::Pulse;
use crate::store::queue::{self, CloseOnDrop, Job, Queue};
use crate::store::row::NewRow;
use crate::task::clock::SharedClock;
use crate::task::idempotency::{self, Idempotency};
use crate::task::repository::{Created, StoreError};

/// The creates that wait for the writer.
pub(super) type CreateQueue = Queue<NewRow, Outcome>;

/// What became of a create.
pub(super) enum Outcome {
    Created(Created),
    /// Nothing: another session of the database holds its key locked.
    Locked(NewRow),
    /// Nothing: another create of the same commit has one of its keys.
    Entangled(NewRow),
}

/// How often a batch is tried, when what fails is not the database's answer but
/// the way to it.
const ATTEMPTS: u32 = 3;
/// How long the writer rests after a failure, so that a database that is away is
/// not asked without end.
const REST: Duration = Duration::from_millis(50);

pub(super) struct Writer {
    connection: WriterConnection,
    keeper: LeaseKeeper,
    clock: SharedClock,
    /// Told of what was created.
    fresh: Arc<Fresh>,
}

/// Why an attempt at a batch failed.
enum Failure {
    /// Another session holds one of the keys locked. Nothing was committed.
    Locked(StoreError),
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
        keeper: LeaseKeeper,
        clock: SharedClock,
        fresh: Arc<Fresh>,
    ) -> Self {
        Self {
            connection: WriterConnection::made(database, connection),
            keeper,
            clock,
            fresh,
        }
    }

    /// Commits until the queue is closed and drained, then gives the node back.
    pub(super) async fn run(mut self, queue: Arc<CreateQueue>, pulse: Arc<Pulse>) {
        let _lives = pulse.writer();
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
                Some(jobs) => self.commit(jobs, &pulse).await,
                None => break,
            }
        }
        self.end().await;
    }

    async fn keep(&mut self) {
        let now = Instant::now();
        let kept = async {
            let mut connection = self.connection.take().await?;
            let patience = self.keeper.patience(now);
            within(patience, self.keeper.keep(&mut connection, now)).await?;
            self.connection.put_back(connection);
            Ok(())
        };
        let kept: Result<(), StoreError> = kept.await;
        if let Err(error) = kept {
            self.keeper.failed(error, Instant::now());
        }
    }

    async fn commit(&mut self, mut jobs: Vec<Job<NewRow, Outcome>>, pulse: &Pulse) {
        jobs.retain(Job::is_awaited);
        let mut is_first = true;
        while !jobs.is_empty() {
            pulse.begin(jobs.len(), jobs.first().map(Job::since));
            let error = match self.try_commit(&jobs).await {
                Ok(done) => {
                    pulse.committed();
                    let new = jobs
                        .iter()
                        .zip(&done)
                        .filter(|(_, done)| matches!(done, Some(Created::New(_))));
                    self.fresh.created(new.map(|(job, _)| &job.work));
                    for (job, done) in jobs.into_iter().zip(done) {
                        job.answer_with(|row| {
                            done.map_or_else(|| Outcome::Entangled(row), Outcome::Created)
                        });
                    }
                    return;
                }
                Err(Failure::Locked(error)) => {
                    let all = jobs.len();
                    jobs = self.set_aside(jobs, is_first).await;
                    is_first = false;
                    if jobs.len() < all {
                        continue;
                    }
                    error
                }
                Err(Failure::Passing(error) | Failure::Lasting(error)) => error,
            };
            pulse.failed();
            queue::fail(jobs, &error);
            return tokio::time::sleep(REST).await;
        }
    }

    /// Answers the creates whose keys are locked that they are; the others. Those
    /// with a key all, where it cannot be seen which they are or that was seen
    /// before.
    async fn set_aside(
        &mut self,
        jobs: Vec<Job<NewRow, Outcome>>,
        is_first: bool,
    ) -> Vec<Job<NewRow, Outcome>> {
        let mut locked = Vec::new();
        if is_first && let Some(mut connection) = self.connection.take_if_there() {
            let requests = jobs.iter().filter_map(|job| job.work.idempotency.as_ref());
            let keys = requests.flat_map(Idempotency::each_key);
            let keys = keys.map(|key| &key[..]).collect();
            // One that fails has no use any more.
            if let Ok(Ok(found)) =
                tokio::time::timeout(ANSWER_TIMEOUT, locked_keys::locked(&mut connection, keys))
                    .await
            {
                locked = found;
                self.connection.put_back(connection);
            }
        }
        let is_locked = |job: &Job<NewRow, Outcome>| {
            job.work.idempotency.is_some_and(|request| {
                let is_one = |key: idempotency::Digest| locked.iter().any(|of| of[..] == key[..]);
                locked.is_empty() || request.keys().any(is_one)
            })
        };
        let (aside, others): (Vec<_>, Vec<_>) = jobs.into_iter().partition(is_locked);
        tracing::warn!(
            requests = aside.len(),
            "another session of the database holds idempotency keys locked; their requests wait"
        );
        for job in aside {
            job.answer_with(Outcome::Locked);
        }
        others
    }

    async fn try_commit(
        &mut self,
        jobs: &[Job<NewRow, Outcome>],
    ) -> Result<Vec<Option<Created>>, Failure> {
        let batch = Batch::new(jobs.iter().map(|job| &job.work))
            .map_err(|error| Failure::Lasting(StoreError::failed(error)))?;
        let mut attempt = 1;
        loop {
            match self.attempt(&batch, attempt > 1).await {
                Err(Failure::Passing(error)) if attempt < ATTEMPTS => {
                    tracing::warn!(%error, attempt, "the commit is tried again");
                    attempt = attempt.saturating_add(1);
                }
                outcome => return outcome,
            }
        }
    }

    /// Tries to commit; whoever tries again does not know whether it was
    /// committed before. After a failure the connection is a new one.
    async fn attempt(
        &mut self,
        batch: &Batch<'_>,
        again: bool,
    ) -> Result<Vec<Option<Created>>, Failure> {
        let mut connection = self.connection.take().await.map_err(Failure::Lasting)?;
        // Not `answered`: the kind of the error matters.
        let committed = batch.commit(&mut connection, self.clock.now(), again);
        match tokio::time::timeout(ANSWER_TIMEOUT, committed).await {
            Ok(Ok(done)) => {
                self.connection.put_back(connection);
                Ok(done)
            }
            Ok(Err(BatchError::Sqlx(error))) if is_lock_timeout(&error) => {
                self.connection.put_back(connection);
                Err(Failure::Locked(StoreError::failed(error)))
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
        let mut connection = self.connection.take().await?;
        match answered(connection.ping()).await {
            Ok(()) => Ok(connection),
            Err(_) => self.connection.make().await,
        }
    }
}

/// Whether another attempt may go through.
fn is_passing(error: &BatchError) -> bool {
    match error {
        BatchError::KeyGone | BatchError::KeyTaken => true,
        BatchError::NotJson(_) => false,
        BatchError::Sqlx(error) => connection::is_passing(error),
    }
}
