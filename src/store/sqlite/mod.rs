//! The durable store of one machine: SQLite in WAL mode, with group commit.
//!
//! ```text
//! create ──> queue ──> writer thread ──> one transaction ──> an answer to each
//! ```
//!
//! A task is answered after its own commit and that commit's fsync
//! (`synchronous = FULL`). One process owns a database file at a time, since
//! the indexes' young entries live in its memory; a lock on the file itself keeps
//! others out, by whatever name they reach it.

mod backup;
mod batch;
mod connection;
mod database;
mod expiry;
mod files;
mod index;
mod log;
mod migration;
mod pool;
mod reader;
mod rows;
mod standing;
mod transition;
mod work;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use futures_util::future::BoxFuture;
use tokio::signal::unix::SignalKind;

pub use self::backup::{BackupError, backup};
use self::database::{Database, Source};
use self::files::DatabaseFile;
pub use self::files::Lost;
use self::index::SharedMemtable;
use self::reader::Reader;
use self::work::{Transition, WriteQueue};
use super::StoreContext;
use super::nodes::OwnNodes;
use super::outlook::Board;
use super::pulse::Pulse;
use super::queue::Pending;
use super::row::Request;
use super::schema::{Migrated, SchemaError};
use crate::task::attempt::History;
use crate::task::claim::{ClaimError, ClaimRequest};
use crate::task::clock::SharedClock;
use crate::task::health::{Health, Load};
use crate::task::id::IdError;
use crate::task::idempotency::Idempotency;
use crate::task::import::ImportFailure;
use crate::task::life_cycle::Command;
use crate::task::list::Page;
use crate::task::repository::{ApplyError, Created, StoreError, TaskRepository};
use crate::task::scope::Target;
use crate::task::{Identifier, NewTask, Task, TaskId, TenantId};

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder or the file cannot be made or read.
    #[error("{}: {error}", path.display())]
    File {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Another process has the database open.
    #[error("{}: another process has this store open", .0.display())]
    InUse(PathBuf),
    /// The file is no SQLite database.
    #[error("{}: this is not a SQLite database; it was left as it is", .0.display())]
    NotADatabase(PathBuf),
    /// Another program made the database.
    #[error("{}: this is the database of another program; it was left as it is", .0.display())]
    Foreign(PathBuf),
    /// Something of the database is missing.
    #[error("{}: {what}", path.display())]
    Lost {
        /// The database.
        path: PathBuf,
        /// What.
        what: Lost,
    },
    /// The schema is not, and cannot be made, what this program needs.
    #[error("{}: {error}", path.display())]
    Schema {
        /// The database.
        path: PathBuf,
        /// Why.
        error: SchemaError,
    },
    /// The database cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The database.
        path: PathBuf,
        /// Why.
        error: StoreError,
    },
}

/// Tasks in a SQLite database.
pub struct SqliteStore {
    ids: OwnNodes,
    path: PathBuf,
    clock: SharedClock,
    queue: Arc<WriteQueue>,
    pulse: Arc<Pulse>,
    board: Arc<Board>,
    reader: Reader,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl SqliteStore {
    /// Opens the database at `path`; creates it, and its folder, at need.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub async fn open(path: &Path, context: StoreContext) -> Result<Self, OpenError> {
        survive_a_file_size_limit();
        let file = lock(path)?;
        file.warn_of_a_log_apart();
        prepare_schema(path, context.migrate)?;
        let memtable = SharedMemtable::default();
        let source = Source::new(
            path,
            file,
            (context.clock.clone(), context.attempts),
            memtable.clone(),
        )
        .map_err(|error| unreadable(path, error))?;
        let database = source.open().map_err(|error| unreadable(path, error))?;
        let stored = database
            .stored_ids()
            .map_err(|error| unreadable(path, error))?;
        let reader = Reader::new(path, database.fingerprints(), memtable)
            .map_err(|error| unreadable(path, StoreError::failed(error)))?;
        let queue = Arc::new(WriteQueue::default());
        let pulse = Arc::new(Pulse::new(context.observer));
        let board = Arc::new(Board::default());
        let shared = (Arc::clone(&queue), Arc::clone(&pulse), Arc::clone(&board));
        let writer = spawn_writer(database, shared).map_err(|error| OpenError::File {
            path: path.to_owned(),
            error,
        })?;
        Ok(Self {
            ids: OwnNodes::new(context.node.unwrap_or(0), &stored, context.clock.clone()),
            path: path.to_owned(),
            clock: context.clock,
            queue,
            pulse,
            board,
            reader,
            writer: Mutex::new(Some(writer)),
        })
    }
}

fn unreadable(path: &Path, error: impl Into<StoreError>) -> OpenError {
    OpenError::Unreadable {
        path: path.to_owned(),
        error: error.into(),
    }
}

/// Starts the writer. It holds the lock, so that the file is free when, and not
/// before, the last commit is done.
fn spawn_writer(
    database: Database,
    (queue, pulse, board): (Arc<WriteQueue>, Arc<Pulse>, Arc<Board>),
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("sqlite-writer".to_owned())
        .spawn(move || writer::run(&queue, database, &pulse, &board))
}

/// Has a write beyond the limit of a file's size (`RLIMIT_FSIZE`) fail, rather
/// than end the process.
fn survive_a_file_size_limit() {
    // Whoever handles the signal no longer dies of it; there is nothing to do.
    if let Err(error) = tokio::signal::unix::signal(SignalKind::from_raw(libc::SIGXFSZ)) {
        tracing::warn!(error = %error, "a limit of the file size would end the process");
    }
}

/// Takes the database, if it is ours to have and nothing of it is lost.
fn lock(path: &Path) -> Result<DatabaseFile, OpenError> {
    let file = DatabaseFile::lock(path)?;
    file.check()?;
    Ok(file)
}

/// Brings the schema of the database at `path` up to date; creates it at need.
///
/// # Errors
///
/// [`OpenError`]; a database that a process has open is not touched.
pub fn migrate(path: &Path) -> Result<Migrated, OpenError> {
    let _lock = lock(path)?;
    prepare_schema(path, true)
}

/// Sees to it that the schema is up to date, if it may by migrating it. The lock
/// is held.
fn prepare_schema(path: &Path, migrate: bool) -> Result<Migrated, OpenError> {
    migration::prepare(path, migrate).map_err(|error| OpenError::Schema {
        path: path.to_owned(),
        error,
    })
}

impl SqliteStore {
    /// Goes on under another node, since the clock is behind the ids of this one.
    async fn change_node(&self) -> Result<(), StoreError> {
        let (path, later) = (self.path.clone(), OwnNodes::first_later(&self.clock));
        let stored = tokio::task::spawn_blocking(move || database::stored_ids_at(&path, later))
            .await
            .map_err(StoreError::failed)?
            .map_err(StoreError::failed)?;
        Ok(self.ids.change(&stored)?)
    }

    /// Takes the request in, under the next id.
    async fn enqueue(&self, request: Request) -> Result<Pending<Created>, StoreError> {
        loop {
            let no_id = {
                let place = self.queue.creates.place()?;
                match self.ids.next_id() {
                    Ok(id) => return Ok(place.take(request.under(id))),
                    Err(no_id) => no_id,
                }
            };
            match no_id {
                IdError::Wait(wait) => tokio::time::sleep(wait).await,
                IdError::ClockBehind(_) => self.change_node().await?,
            }
        }
    }
}

impl TaskRepository for SqliteStore {
    fn create(
        &self,
        task: NewTask,
        idempotency: Option<Idempotency>,
    ) -> BoxFuture<'_, Result<Created, StoreError>> {
        Box::pin(async move {
            let request = Request { task, idempotency };
            self.enqueue(request).await?.committed().await
        })
    }

    fn find<'a>(
        &'a self,
        tenant_id: &'a TenantId,
        id: TaskId,
    ) -> BoxFuture<'a, Result<Option<Task>, StoreError>> {
        Box::pin(self.reader.find(tenant_id, id))
    }

    fn list<'a>(
        &'a self,
        tenant_id: &'a TenantId,
        page: Page,
    ) -> BoxFuture<'a, Result<Vec<Task>, StoreError>> {
        Box::pin(self.reader.list(tenant_id, page))
    }

    fn newest_transfer<'a>(
        &'a self,
        tenant_id: &'a TenantId,
        src_user_id: &'a Identifier,
    ) -> BoxFuture<'a, Result<Option<Task>, StoreError>> {
        Box::pin(self.reader.newest_transfer(tenant_id, src_user_id))
    }

    fn newest_import<'a>(
        &'a self,
        tenant_id: &'a TenantId,
        user_id: &'a Identifier,
    ) -> BoxFuture<'a, Result<Option<Task>, StoreError>> {
        Box::pin(self.reader.newest_import(tenant_id, user_id))
    }

    fn failures<'a>(
        &'a self,
        task: &'a Task,
        from: u64,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<ImportFailure>, StoreError>> {
        Box::pin(self.reader.failures(task, from, limit))
    }

    fn history<'a>(&'a self, task: &'a Task) -> BoxFuture<'a, Result<History, StoreError>> {
        Box::pin(self.reader.history(task.id))
    }

    fn apply(&self, target: Target, command: Command) -> BoxFuture<'_, Result<Task, ApplyError>> {
        Box::pin(async move {
            let transition = Transition { target, command };
            let pending = self.queue.transitions.place()?.take(transition);
            Ok(*pending.committed().await??)
        })
    }

    fn claim(&self, request: ClaimRequest) -> BoxFuture<'_, Result<Vec<Task>, ClaimError>> {
        Box::pin(async move {
            let pending = self.queue.claims.place()?.take(request);
            pending.committed().await?
        })
    }

    fn drain(&self) {
        self.queue.drain();
    }

    fn health(&self) -> Health {
        let (_, oldest) = self.queue.waiting();
        Health {
            is_alive: self.pulse.is_alive(),
            store: self.pulse.check(oldest),
            node: None,
        }
    }

    fn reads_at_a_time(&self) -> usize {
        self.reader.at_a_time()
    }

    fn load(&self) -> Load {
        let (length, _) = self.queue.waiting();
        Load {
            queue_length: Some(length),
            queue_capacity: Some(WriteQueue::CAPACITY),
            connections: Some(self.reader.connections()),
            due: self.board.due(self.clock.now()),
            ..Load::default()
        }
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.pulse.close();
            self.reader.close().await;
            self.queue.close();
            let writer = self
                .writer
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if let Some(writer) = writer {
                // It ends as soon as it has committed what waits.
                let ended = tokio::task::spawn_blocking(move || writer.join()).await;
                if !matches!(ended, Ok(Ok(()))) {
                    tracing::error!("the writer ended badly");
                }
            }
        })
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.pulse.close();
        self.queue.close();
    }
}
