//! The store that instances share: PostgreSQL, or an engine that speaks its
//! protocol, with group commit in each instance.
//!
//! ```text
//! create ──> queue ──> writer ──> one statement, one commit ──> an answer to each
//! commands, claims ──> queues ──> writers of their own (`transition/`)
//! reads ──> pool of connections
//! ```
//!
//! Every task id carries the number of the node that made it; which instance has
//! which node is a matter of leases (`node/`). That a key makes one task, on
//! whichever instance it arrives, is a matter of the table `idempotency`.

mod batch;
mod connection;
mod expiry;
mod fitness;
mod locked_keys;
mod migration;
mod node;
mod opening;
mod reader;
mod transition;
mod url;
mod writer;
mod writer_connection;

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use sqlx::postgres::PgConnection;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use self::connection::{Pool, Session};
pub use self::fitness::Unfit;
use self::locked_keys::LockedKeys;
use self::node::{NoId, NodeIds};
use self::opening::Opened;
pub use self::opening::{OpenError, migrate};
use self::transition::{CompletionWriter, TransitionWriter, Transitions};
pub use self::url::PostgresUrl;
use self::writer::{CreateQueue, Outcome, Writer};
use super::StoreContext;
use super::pulse::Pulse;
use super::queue::{self, Pending};
use super::row::Request;
use crate::task::attempt::History;
use crate::task::claim::{ClaimError, ClaimRequest};
use crate::task::clock::SharedClock;
use crate::task::health::{Check, Health, Load};
use crate::task::idempotency::Idempotency;
use crate::task::import::ImportFailure;
use crate::task::life_cycle::Command;
use crate::task::list::Page;
use crate::task::repository::{ApplyError, Created, StoreError, TaskRepository};
use crate::task::scope::Target;
use crate::task::{Identifier, NewTask, Task, TaskId, TenantId};

/// Tasks in a PostgreSQL database.
pub struct PostgresStore {
    ids: Arc<NodeIds>,
    queue: Arc<CreateQueue>,
    pulse: Arc<Pulse>,
    transition_pulse: Arc<Pulse>,
    completion_pulse: Arc<Pulse>,
    locked_keys: LockedKeys,
    pool: Pool,
    transitions: Arc<Transitions>,
    clock: SharedClock,
    writers: Mutex<Vec<JoinHandle<()>>>,
    /// Ends what runs beside the writer.
    stop: CancellationToken,
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
        let Opened {
            database,
            pool,
            connection,
            keeper,
        } = opening::open(url, &context).await?;
        let StoreContext {
            clock,
            attempts,
            observer,
            tasks,
            stop,
            ..
        } = context;
        let stop = stop.child_token();
        let pulse = Arc::new(Pulse::new(Arc::clone(&observer)));
        let transition_pulse = Arc::new(Pulse::new(Arc::clone(&observer)));
        let completion_pulse = Arc::new(Pulse::new(observer));
        let (ids, queue) = (keeper.ids(), Arc::new(CreateQueue::default()));
        // The node may become another; the keeper records it.
        let span = tracing::info_span!("postgres", node = keeper.node());
        let transitions = Arc::new(Transitions::default());
        let leader = TransitionWriter::new(
            database.clone(),
            (clock.clone(), attempts),
            Arc::clone(&transition_pulse),
            Arc::clone(&transitions),
        );
        let leader = leader.run().instrument(span.clone());
        let completions = CompletionWriter::new(
            database.clone(),
            Arc::clone(&completion_pulse),
            Arc::clone(&transitions),
        );
        let completions = completions.run().instrument(span.clone());
        let fresh = transitions.fresh();
        let writer = Writer::new(database, connection, keeper, clock.clone(), fresh);
        let writer = writer
            .run(Arc::clone(&queue), Arc::clone(&pulse))
            .instrument(span.clone());
        let expiry = expiry::run(pool.clone(), clock.clone()).instrument(span);
        tasks.spawn(stop.clone().run_until_cancelled_owned(expiry));
        Ok(Self {
            ids,
            // Not ended by the token: they end when what was accepted is committed.
            writers: Mutex::new(vec![
                tasks.spawn(writer),
                tasks.spawn(leader),
                tasks.spawn(completions),
            ]),
            queue,
            pulse,
            transition_pulse,
            completion_pulse,
            locked_keys: LockedKeys::default(),
            transitions,
            clock,
            pool,
            stop,
        })
    }

    /// Takes the request in, under the next id.
    async fn enqueue(&self, request: Request) -> Result<Pending<Outcome>, StoreError> {
        loop {
            let no_id = {
                let place = self.queue.place()?;
                match self.ids.next_id(Instant::now()) {
                    Ok(id) => return Ok(place.take(request.under(id))),
                    Err(no_id) => no_id,
                }
            };
            match no_id {
                NoId::Wait(wait) => tokio::time::sleep(wait).await,
                NoId::Lease => self.ids.renewal().await,
                NoId::Store(error) => return Err(error),
            }
        }
    }

    /// Of each writer.
    const fn pulses(&self) -> [&Arc<Pulse>; 3] {
        [&self.pulse, &self.transition_pulse, &self.completion_pulse]
    }

    /// Lets the writers end when what waits is committed.
    fn take_no_more(&self) {
        for pulse in self.pulses() {
            pulse.close();
        }
        self.stop.cancel();
        self.queue.close();
        self.transitions.close();
    }

    async fn work<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        Session::work(&self.pool, work).await
    }
}

impl TaskRepository for PostgresStore {
    fn create(
        &self,
        task: NewTask,
        idempotency: Option<Idempotency>,
    ) -> BoxFuture<'_, Result<Created, StoreError>> {
        let asked = Instant::now();
        Box::pin(async move {
            let mut request = Request { task, idempotency };
            loop {
                for key in idempotency.iter().flat_map(Idempotency::keys) {
                    self.locked_keys.wait(&self.pool, key, asked).await?;
                }
                let pending = self.enqueue(request).await?;
                match pending.committed().await? {
                    Outcome::Created(created) => return Ok(created),
                    // Again under another id: those of the others are not behind it.
                    Outcome::Locked(row) => request = self.locked_keys.found(row),
                    Outcome::Entangled(row) => request = row.into_request(),
                }
            }
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

    fn failures<'a>(
        &'a self,
        task: &'a Task,
        from: u64,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<ImportFailure>, StoreError>> {
        Box::pin(self.work(async move |session| reader::failures(session, task, from, limit).await))
    }

    fn history<'a>(&'a self, task: &'a Task) -> BoxFuture<'a, Result<History, StoreError>> {
        Box::pin(self.work(async move |session| reader::history(session, task.id).await))
    }

    fn apply(&self, target: Target, command: Command) -> BoxFuture<'_, Result<Task, ApplyError>> {
        Box::pin(self.transitions.apply(target, command))
    }

    fn claim(&self, request: ClaimRequest) -> BoxFuture<'_, Result<Vec<Task>, ClaimError>> {
        Box::pin(self.transitions.claim(request))
    }

    fn drain(&self) {
        self.transitions.drain();
    }

    /// That the database takes writes is told by the lease: its renewal is one.
    fn health(&self) -> Health {
        let ended = self.pulses().into_iter().find(|pulse| !pulse.is_alive());
        Health {
            is_alive: ended.is_none(),
            store: ended.map_or(Check::Ok, |pulse| pulse.check(None)),
            node: Some(match self.ids.sure_for(Instant::now()) {
                Some(_) => Check::Ok,
                None => Check::Failing("the lease of the node is not sure"),
            }),
        }
    }

    fn reads_at_a_time(&self) -> usize {
        self.pool.status().max_size
    }

    fn load(&self) -> Load {
        let (length, _) = self.queue.waiting();
        Load {
            queue_length: Some(length),
            queue_capacity: Some(queue::CAPACITY),
            // Each of the three writers has one of its own.
            connections: Some(self.pool.status().size.saturating_add(3)),
            lease: Some(self.ids.sure_for(Instant::now()).unwrap_or_default()),
            due: self.transitions.due(self.clock.now()),
        }
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.take_no_more();
            self.pool.close();
            let writers =
                std::mem::take(&mut *self.writers.lock().unwrap_or_else(PoisonError::into_inner));
            // Each ends as soon as it has committed what waits.
            for ended in futures_util::future::join_all(writers).await {
                if ended.is_err() {
                    tracing::error!("a writer ended badly");
                }
            }
        })
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.take_no_more();
    }
}
