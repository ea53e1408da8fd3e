//! Creators and workers in a closed loop.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::process::Server;
use crate::{BACKLOG, Settings, Window, cpu};

/// Connections that create.
const CREATORS: usize = 16;
/// How long a creator rests while the backlog is full.
const REST: Duration = Duration::from_millis(1);

/// What creators and workers have done, and whether they are to end.
#[derive(Default)]
pub(crate) struct Counts {
    created: AtomicU64,
    completed: AtomicU64,
    over: AtomicBool,
}

impl Counts {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Has creators and workers end.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// How many tasks were completed.
    pub(crate) fn completed(&self) -> u64 {
        self.completed.load(Ordering::Relaxed)
    }

    fn backlog(&self) -> u64 {
        self.created
            .load(Ordering::Relaxed)
            .saturating_sub(self.completed())
    }
}

/// Tasks that get done in a window, by so many workers claiming so many at a time.
pub(crate) fn measure(
    server: &Server,
    workers: usize,
    batch: usize,
    settings: Settings,
) -> Result<Window, Box<dyn Error>> {
    let (counts, address) = (Counts::default(), server.address);
    thread::scope(|scope| {
        let create = || creator(address, &counts).map_err(|error| error.to_string());
        let work = || worker(address, batch, &counts).map_err(|error| error.to_string());
        let creators = (0..CREATORS).map(|_| scope.spawn(create));
        let threads: Vec<_> = creators
            .chain((0..workers).map(|_| scope.spawn(work)))
            .collect();
        thread::sleep(settings.warm_up);
        let (begun, before) = (Instant::now(), counts.completed());
        let cpu_before = (server_cpu(), cpu::of_all("postgres"));
        thread::sleep(settings.window);
        let tasks = counts.completed() - before;
        let window = Window {
            tasks,
            seconds: begun.elapsed().as_secs_f64(),
            server_cpu: server_cpu().saturating_sub(cpu_before.0),
            database_cpu: cpu::of_all("postgres").saturating_sub(cpu_before.1),
        };
        counts.end();
        for thread in threads {
            thread.join().map_err(|_| "a thread panicked")??;
        }
        if window.tasks == 0 {
            return Err("not one task was done within the window".into());
        }
        Ok(window)
    })
}

/// There is one server at a time.
fn server_cpu() -> Duration {
    cpu::of_all("kootask")
}

fn creator(server: SocketAddr, counts: &Counts) -> Result<(), Box<dyn Error>> {
    let mut client = Client::connect(server)?;
    while !counts.is_over() {
        if counts.backlog() > BACKLOG {
            thread::sleep(REST);
        } else {
            client.create()?;
            counts.created.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Claims so many at a time and completes one by one, until it is to end.
pub(crate) fn worker(
    server: SocketAddr,
    batch: usize,
    counts: &Counts,
) -> Result<(), Box<dyn Error>> {
    let mut client = Client::connect(server)?;
    while !counts.is_over() {
        for (id, fence) in client.claim(batch, 1)? {
            client.complete(&id, fence)?;
            counts.completed.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}
