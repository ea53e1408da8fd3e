//! What workers cost those who create, at a rate that both can keep.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::{Instant, MissedTickBehavior};

use crate::connection::Connection;
use crate::postgres::PostgresServer;
use crate::workers::Loops;
use crate::{Settings, start};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Creates a second: less than workers can drain beside them.
const RATE: u32 = 2000;
/// The connections that share them.
const CREATORS: u32 = 16;
const WORKERS: usize = 4;

/// Prints the p99 of creates at [`RATE`] alone, and while workers drain what is
/// created.
pub(crate) fn measure(
    directory: &Path,
    database: &PostgresServer,
    settings: Settings,
) -> Result<()> {
    for store in ["SQLite", "PostgreSQL"] {
        let mut ratios = Vec::new();
        for round in 0..settings.rounds {
            let mut p99 = [0.0; 2];
            for (workers, p99) in [0, WORKERS].into_iter().zip(&mut p99) {
                let folder = directory.join(format!("drained-{store}-{round}-{workers}"));
                std::fs::create_dir(&folder)?;
                let own = database.database();
                let server = start(&folder, store, &own).map_err(|error| error.to_string())?;
                let mut loops = Loops::new()?;
                loops.work(server.address, workers, 100);
                let times = create(server.address, settings.warm_up + settings.window)?;
                let drained = loops.end()?;
                server.stop().map_err(|error| error.to_string())?;
                *p99 = times.value_at_quantile(0.99) as f64 / 1e3;
                println!(
                    "{store}: creates at {RATE}/s, {workers} workers: p50 {:.2} ms, p99 {p99:.2} \
                     ms, {} created, {drained} drained",
                    times.value_at_quantile(0.5) as f64 / 1e3,
                    times.len(),
                );
            }
            ratios.push(p99[1] / p99[0]);
        }
        ratios.sort_by(f64::total_cmp);
        println!("{:>56.2} × create's p99", ratios[ratios.len() / 2]);
    }
    Ok(())
}

/// Creates for a while, and at the pace whatever the answers take; how long they took
/// from when they were due.
fn create(server: SocketAddr, window: Duration) -> Result<Histogram<u64>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let begin = Instant::now() + Duration::from_millis(100);
        let pace = Duration::from_secs(1) / RATE;
        let creators = (0..CREATORS).map(|number| {
            let first = begin + pace * number;
            tokio::spawn(creating(server, first, pace * CREATORS, begin + window))
        });
        let mut all = Histogram::new_with_bounds(1, 600_000_000, 3)?;
        for creator in creators.collect::<Vec<_>>() {
            all.add(creator.await??)?;
        }
        Ok(all)
    })
}

async fn creating(
    server: SocketAddr,
    first: Instant,
    pace: Duration,
    end: Instant,
) -> Result<Histogram<u64>> {
    let mut times = Histogram::new_with_bounds(1, 600_000_000, 3)?;
    let mut connection = Connection::connect(server).await?;
    let mut pace = tokio::time::interval_at(first, pace);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        let due = pace.tick().await;
        if due >= end {
            return Ok(times);
        }
        connection.create().await?;
        let micros = u64::try_from(due.elapsed().as_micros())?;
        times.record(micros.max(1))?;
    }
}
