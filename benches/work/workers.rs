//! Creators and workers, on connections of their own, in one process: as those of the
//! plain loop are.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::process::Server;
use crate::{BACKLOG, Settings, Window, cpu};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Connections that create, at least: there are as many as workers.
const CREATORS: usize = 16;
/// How long a creator rests while the backlog is full.
const REST: Duration = Duration::from_millis(1);

/// What creators and workers have done, and whether they are to end.
#[derive(Default)]
struct Counts {
    created: AtomicU64,
    claimed: AtomicU64,
    completed: AtomicU64,
    over: AtomicBool,
}

impl Counts {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn completed(&self) -> u64 {
        self.completed.load(Ordering::Relaxed)
    }

    /// The tasks that wait for a worker.
    fn backlog(&self) -> u64 {
        self.created
            .load(Ordering::Relaxed)
            .saturating_sub(self.claimed.load(Ordering::Relaxed))
    }
}

/// Connections at work until they are ended.
pub(crate) struct Loops {
    runtime: Runtime,
    counts: Arc<Counts>,
    running: JoinSet<Result<()>>,
}

impl Loops {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            runtime: tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?,
            counts: Arc::default(),
            running: JoinSet::new(),
        })
    }

    fn create(&mut self, server: SocketAddr, creators: usize) {
        for _ in 0..creators {
            let create = creating(server, Arc::clone(&self.counts));
            self.running.spawn_on(create, self.runtime.handle());
        }
    }

    /// So many workers claim so many tasks at a time, and complete them one by one.
    pub(crate) fn work(&mut self, server: SocketAddr, workers: usize, batch: usize) {
        for _ in 0..workers {
            let work = working(server, batch, Arc::clone(&self.counts));
            self.running.spawn_on(work, self.runtime.handle());
        }
    }

    /// Ends them; how many tasks were completed.
    pub(crate) fn end(mut self) -> Result<u64> {
        self.counts.over.store(true, Ordering::Relaxed);
        self.runtime.block_on(async {
            while let Some(ended) = self.running.join_next().await {
                ended??;
            }
            Ok(self.counts.completed())
        })
    }
}

/// Tasks that get done in a window, by so many workers claiming so many at a time.
pub(crate) fn measure(
    server: &Server,
    workers: usize,
    batch: usize,
    settings: Settings,
) -> Result<Window> {
    let mut loops = Loops::new()?;
    loops.create(server.address, workers.max(CREATORS));
    loops.work(server.address, workers, batch);
    std::thread::sleep(settings.warm_up);
    let (begun, before) = (Instant::now(), loops.counts.completed());
    let cpu_before = (server_cpu(), cpu::of_all("postgres"));
    std::thread::sleep(settings.window);
    let window = Window {
        tasks: loops.counts.completed() - before,
        seconds: begun.elapsed().as_secs_f64(),
        server_cpu: server_cpu().saturating_sub(cpu_before.0),
        database_cpu: cpu::of_all("postgres").saturating_sub(cpu_before.1),
    };
    loops.end()?;
    if window.tasks == 0 {
        return Err("not one task was done within the window".into());
    }
    Ok(window)
}

/// There is one server at a time.
fn server_cpu() -> Duration {
    cpu::of_all("kootask")
}

async fn creating(server: SocketAddr, counts: Arc<Counts>) -> Result<()> {
    let mut connection = Connection::connect(server).await?;
    while !counts.is_over() {
        if counts.backlog() > BACKLOG {
            tokio::time::sleep(REST).await;
        } else {
            connection.create().await?;
            counts.created.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

async fn working(server: SocketAddr, batch: usize, counts: Arc<Counts>) -> Result<()> {
    let mut connection = Connection::connect(server).await?;
    while !counts.is_over() {
        let claimed = connection.claim(batch).await?;
        counts
            .claimed
            .fetch_add(claimed.len() as u64, Ordering::Relaxed);
        for (id, fence) in claimed {
            connection.complete(id, fence).await?;
            counts.completed.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}
