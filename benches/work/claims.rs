//! What a claim costs among tasks that have ended, and while a snapshot is held.

use std::error::Error;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use kootask::auth::stand_in::TENANT;

use crate::client::Client;
use crate::postgres::PostgresServer;
use crate::start;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How much of everything.
#[derive(Clone, Copy)]
pub(crate) struct Amounts {
    /// Tasks that have ended: few, and many.
    pub(crate) ended: [u64; 2],
    /// Claims of one task, of each of the two.
    pub(crate) claims: usize,
    /// Tasks that are claimed while a snapshot is held.
    pub(crate) under_snapshot: u64,
}

/// Imports that have ended, older than any that the service makes.
const ENDED_SQLITE: &str = "
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
INSERT INTO task (id, tenant_id, user_id, task_type, status, locale, init_params, started_at,
    ended_at)
SELECT 1000000000 + i, ?2, 'bench', 1, 2, 'en-US',
    '{\"resultId\":\"r\",\"orgId\":\"o\",\"orgUserId\":\"u\"}', 1, 2 FROM n";

/// Takes a snapshot, and returns nothing.
const SNAPSHOT: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
    DO $$ BEGIN PERFORM 1 FROM task LIMIT 1; END $$";

/// Prints how long a claim takes among few and among many tasks that have ended, in
/// turns.
pub(crate) fn among_ended(
    directory: &Path,
    database: &PostgresServer,
    amounts: Amounts,
) -> Result<()> {
    for store in ["SQLite", "PostgreSQL"] {
        let mut servers = Vec::new();
        for ended in amounts.ended {
            let folder = directory.join(format!("{store}-{ended}"));
            std::fs::create_dir(&folder)?;
            let own = database.database();
            // The schema is the service's.
            start(&folder, store, &own)?.stop()?;
            if store == "SQLite" {
                let file = rusqlite::Connection::open(folder.join("kootask.db"))?;
                file.execute(ENDED_SQLITE, rusqlite::params![ended.cast_signed(), TENANT])?;
            } else {
                own.sql(&format!(
                    "INSERT INTO task (node, id, tenant_id, user_id, task_type, status, locale,
                         init_params, started_at, ended_at)
                     SELECT 1, 1000000000 + i, '{TENANT}', 'bench', 1, 2, 'en-US',
                         '{{\"resultId\":\"r\",\"orgId\":\"o\",\"orgUserId\":\"u\"}}', 1, 2
                     FROM generate_series(1, {ended}) i"
                ));
                own.sql("VACUUM ANALYZE task");
                own.sql("CHECKPOINT");
            }
            servers.push((start(&folder, store, &own)?, own, times()?));
        }
        for _ in 0..amounts.claims {
            for (server, _, times) in &mut servers {
                let mut client = Client::connect(server.address)?;
                client.create_import()?;
                let asked = Instant::now();
                let given = client.claim(1, 5)?;
                record(times, asked.elapsed())?;
                for (id, fence) in given {
                    client.complete(&id, fence)?;
                }
            }
        }
        for ((_, _, times), ended) in servers.iter().zip(amounts.ended) {
            print(&format!("{store}, a claim among {ended} ended"), times);
        }
        if let [(_, _, few), (_, _, many)] = servers.as_slice() {
            println!("{:>56.2} × at the median", ratio(many, few));
        }
        for (server, ..) in servers {
            server.stop()?;
        }
    }
    Ok(())
}

/// Prints how long a claim of 100 takes at first and at last, while another session
/// holds a snapshot: what the claims leave behind cannot be cleared away.
pub(crate) fn under_snapshot(
    directory: &Path,
    database: &PostgresServer,
    amounts: Amounts,
) -> Result<()> {
    const CREATORS: usize = 8;
    const WORKERS: usize = 8;
    let folder = directory.join("snapshot");
    std::fs::create_dir(&folder)?;
    let own = database.database();
    let server = start(&folder, "PostgreSQL", &own)?;
    let _snapshot = own.hold(SNAPSHOT);

    let tasks = amounts.under_snapshot;
    let (created, claimed) = (AtomicU64::new(0), AtomicU64::new(0));
    let (first, last) = (Mutex::new(times()?), Mutex::new(times()?));
    let address = server.address;
    let create = || -> Result<()> {
        let mut client = Client::connect(address)?;
        while created.fetch_add(1, Ordering::Relaxed) < tasks {
            client.create()?;
        }
        Ok(())
    };
    let work = || -> Result<()> {
        let mut client = Client::connect(address)?;
        while claimed.load(Ordering::Relaxed) < tasks {
            let asked = Instant::now();
            let given = client.claim(100, 1)?;
            let took = asked.elapsed();
            let before = claimed.fetch_add(given.len() as u64, Ordering::Relaxed);
            let part = match before {
                _ if given.is_empty() => None,
                early if early < tasks / 10 => Some(&first),
                late if late >= tasks - tasks / 10 => Some(&last),
                _ => None,
            };
            if let Some(part) = part {
                let mut times = part.lock().map_err(|_| "a thread panicked")?;
                record(&mut times, took)?;
            }
            for (id, fence) in given {
                client.complete(&id, fence)?;
            }
        }
        Ok(())
    };
    let told = |error: Box<dyn Error>| error.to_string();
    thread::scope(|scope| {
        let creators = (0..CREATORS).map(|_| scope.spawn(|| create().map_err(told)));
        let workers = (0..WORKERS).map(|_| scope.spawn(|| work().map_err(told)));
        let threads: Vec<_> = creators.chain(workers).collect();
        for thread in threads {
            thread.join().map_err(|_| "a thread panicked")??;
        }
        Ok::<_, Box<dyn Error>>(())
    })?;
    server.stop()?;
    let (first, last) = (first.into_inner()?, last.into_inner()?);
    print(
        &format!("PostgreSQL, snapshot held, first of {tasks}"),
        &first,
    );
    print(
        &format!("PostgreSQL, snapshot held, last of {tasks}"),
        &last,
    );
    println!("{:>56.2} × at the median", ratio(&last, &first));
    Ok(())
}

fn times() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 600_000_000, 3)?)
}

fn record(times: &mut Histogram<u64>, took: Duration) -> Result<()> {
    Ok(times.record(u64::try_from(took.as_micros())?.max(1))?)
}

fn ratio(own: &Histogram<u64>, other: &Histogram<u64>) -> f64 {
    own.value_at_quantile(0.5) as f64 / other.value_at_quantile(0.5).max(1) as f64
}

fn print(name: &str, times: &Histogram<u64>) {
    let at = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
    println!(
        "{name:<44} p50 {:>8.2} ms   p99 {:>8.2} ms   of {}",
        at(0.5),
        at(0.99),
        times.len()
    );
}
