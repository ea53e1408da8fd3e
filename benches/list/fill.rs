//! The stores, filled in bulk: millions of create calls would take an hour.

use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kootask::store::StoreContext;
use kootask::store::sqlite::SqliteStore;
use kootask::task::clock::SystemClock;
use kootask::task::repository::TaskRepository;
use kootask::task::retry::RetryPolicy;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::population::{Parameters, Population, Status, Task};
use crate::runs::{self, Runs};

/// The rows of a transaction.
const BATCH: u64 = 100_000;
/// To be changed with what a store is filled with.
const FORMAT: u32 = 1;

/// A filled store.
pub(crate) struct Filled {
    pub(crate) population: Population,
    pub(crate) database: PathBuf,
    /// Its size on disk.
    pub(crate) bytes: u64,
    /// How long it took; nothing if it was kept from a run before.
    pub(crate) took: Option<Duration>,
    /// The levels of the runs of the index of source users, oldest first.
    pub(crate) levels: Vec<u32>,
    /// The source users that are in none of them.
    pub(crate) tail: u32,
}

/// What says that a kept store is complete, and of what.
#[derive(Deserialize, Serialize)]
struct Label {
    format: u32,
    migrations: String,
    population: Population,
}

/// A store of so many tasks in `directory`; one that was kept there is used
/// again if it `may_be_kept`.
pub(crate) fn fill(
    directory: &Path,
    tasks: u64,
    may_be_kept: bool,
) -> Result<Filled, Box<dyn Error>> {
    let database = directory.join(format!("{tasks}.db"));
    let label = database.with_extension("json");
    let template = directory.join("template.db");
    remove(&template)?;
    create(&template)?;
    let migrations = migrations(&template)?;
    remove(&template)?;

    let kept = kept(&label)
        .filter(|label| may_be_kept && label.format == FORMAT && label.migrations == migrations);
    let (population, took) = if let Some(label) = kept {
        (label.population, None)
    } else {
        let started = Instant::now();
        remove(&label)?;
        remove(&database)?;
        create(&database)?;
        let population = Population::until_now(tasks);
        write(&database, population)?;
        let complete = Label {
            format: FORMAT,
            migrations,
            population,
        };
        fs::write(&label, serde_json::to_vec(&complete)?)?;
        (population, Some(started.elapsed()))
    };

    // A file just written is in the page cache, one that was kept need not be:
    // the disk is not what is compared.
    io::copy(&mut File::open(&database)?, &mut io::sink())?;
    let (levels, tail) = runs::shape(&Connection::open(&database)?)?;
    Ok(Filled {
        population,
        bytes: fs::metadata(&database)?.len(),
        database,
        took,
        levels,
        tail,
    })
}

/// The label of a kept store, if there is one.
fn kept(label: &Path) -> Option<Label> {
    serde_json::from_slice(&fs::read(label).ok()?).ok()
}

/// Has the service make an empty database.
fn create(database: &Path) -> Result<(), Box<dyn Error>> {
    let context = StoreContext {
        clock: Arc::new(SystemClock),
        node: None,
        migrate: true,
        max_connections: 2,
        attempts: RetryPolicy::default(),
        observer: kootask::task::observer::nobody(),
        tasks: TaskTracker::new(),
        stop: CancellationToken::new(),
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            SqliteStore::open(database, context).await?.close().await;
            Ok(())
        })
}

/// Tells databases of one schema from those of another.
fn migrations(database: &Path) -> rusqlite::Result<String> {
    Connection::open(database)?.query_row(
        "SELECT group_concat(hex(checksum)) FROM _sqlx_migrations",
        [],
        |row| row.get(0),
    )
}

/// Deletes a file and what SQLite and the service lay beside it.
fn remove(file: &Path) -> io::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut path = file.as_os_str().to_owned();
        path.push(suffix);
        match fs::remove_file(PathBuf::from(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Writes the tasks and their index into an empty database.
fn write(database: &Path, population: Population) -> Result<(), Box<dyn Error>> {
    let mut connection = Connection::open(database)?;
    connection.pragma_update(None, "journal_mode", "off")?;
    connection.pragma_update(None, "synchronous", "off")?;
    connection.pragma_update(None, "cache_size", -512 * 1024)?;
    let mut runs = Runs::new(&connection, transfers(population))?;
    for first in (0..population.tasks).step_by(usize::try_from(BATCH)?) {
        let transaction = connection.transaction()?;
        let mut insert = transaction.prepare_cached(
            "INSERT INTO task (id, tenant_id, user_id, task_type, status, locale, init_params,
             result_code, started_at, ended_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?;
        for number in first..population.tasks.min(first + BATCH) {
            let task = population.task(number);
            let is_started = task.status != Status::New;
            insert.execute(params![
                task.id,
                task.tenant,
                task.user.to_string(),
                task.task_type(),
                task.status as u8,
                "en-US",
                init_params(&task),
                (task.status == Status::Failed).then_some("18000205"),
                is_started.then_some(task.created_millis.cast_signed() + 2_000),
                is_started.then_some(task.created_millis.cast_signed() + 60_000),
            ])?;
            if let Parameters::Transfer { source, .. } = task.parameters {
                runs.push(&transaction, task.tenant, source, task.id)?;
            }
        }
        drop(insert);
        transaction.commit()?;
    }
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.close().map_err(|(_, error)| error)?;
    // Or the kernel would write it out while the service is measured.
    File::open(database)?.sync_all()?;
    Ok(())
}

/// The parameters as the service writes them.
fn init_params(task: &Task) -> String {
    match &task.parameters {
        Parameters::Transfer {
            source,
            destination,
        } => format!(r#"{{"srcUserId":"{source}","dstUserId":"{destination}"}}"#),
        Parameters::Import { result } => {
            format!(
                r#"{{"resultId":"{result}","orgId":"1","orgUserId":"{}"}}"#,
                task.user
            )
        }
    }
}

/// How many of the tasks are transfers.
fn transfers(population: Population) -> u64 {
    let is_transfer = |number: &u64| population.task(*number).task_type() == 0;
    (0..population.tasks).filter(is_transfer).count() as u64
}
