//! The loop that people write: a table, one row a transaction, `FOR UPDATE SKIP
//! LOCKED`, [`CONNECTIONS`] connections that insert and as many that work.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};
use uuid::Uuid;

use crate::{BACKLOG, Settings, Window, cpu};

const CONNECTIONS: usize = 16;
const REST: Duration = Duration::from_millis(1);
const TABLE: &str = "
CREATE TABLE job (id bigserial PRIMARY KEY, status smallint NOT NULL DEFAULT 0, source text,
    recipient text, started_at timestamptz, ended_at timestamptz);
CREATE INDEX job_ready ON job (id) WHERE status = 0;";
const TAKE: &str = "
UPDATE job SET status = 1, started_at = now() WHERE id = (
    SELECT id FROM job WHERE status = 0 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING id";
const END: &str = "UPDATE job SET status = 2, ended_at = now() WHERE id = $1";

#[derive(Default)]
struct Counts {
    created: AtomicU64,
    completed: AtomicU64,
    over: AtomicBool,
}

/// Rows that get done in a window.
pub(crate) fn measure(url: &str, settings: Settings) -> Result<Window, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let counts = Arc::new(Counts::default());
        PgConnection::connect(url).await?.execute(TABLE).await?;
        let mut loops = tokio::task::JoinSet::new();
        for _ in 0..CONNECTIONS {
            let create = PgConnection::connect(url).await?;
            loops.spawn(creating(create, Arc::clone(&counts)));
            let work = PgConnection::connect(url).await?;
            loops.spawn(working(work, Arc::clone(&counts)));
        }
        tokio::time::sleep(settings.warm_up).await;
        let (begun, before) = (Instant::now(), counts.completed.load(Ordering::Relaxed));
        let cpu_before = cpu::of_all("postgres");
        tokio::time::sleep(settings.window).await;
        let window = Window {
            tasks: counts.completed.load(Ordering::Relaxed) - before,
            seconds: begun.elapsed().as_secs_f64(),
            server_cpu: Duration::ZERO,
            database_cpu: cpu::of_all("postgres").saturating_sub(cpu_before),
        };
        counts.over.store(true, Ordering::Relaxed);
        while let Some(ended) = loops.join_next().await {
            ended??;
        }
        Ok(window)
    })
}

async fn creating(mut connection: PgConnection, counts: Arc<Counts>) -> Result<(), sqlx::Error> {
    while !counts.over.load(Ordering::Relaxed) {
        let completed = counts.completed.load(Ordering::Relaxed);
        let created = counts.created.load(Ordering::Relaxed);
        if created.saturating_sub(completed) > BACKLOG {
            tokio::time::sleep(REST).await;
            continue;
        }
        sqlx::query("INSERT INTO job (source, recipient) VALUES ($1, 'recipient')")
            .bind(Uuid::new_v4().to_string())
            .execute(&mut connection)
            .await?;
        counts.created.fetch_add(1, Ordering::Relaxed);
    }
    connection.close().await
}

async fn working(mut connection: PgConnection, counts: Arc<Counts>) -> Result<(), sqlx::Error> {
    while !counts.over.load(Ordering::Relaxed) {
        let taken: Option<i64> = sqlx::query_scalar(TAKE)
            .fetch_optional(&mut connection)
            .await?;
        let Some(id) = taken else {
            tokio::time::sleep(REST).await;
            continue;
        };
        sqlx::query(END).bind(id).execute(&mut connection).await?;
        counts.completed.fetch_add(1, Ordering::Relaxed);
    }
    connection.close().await
}
