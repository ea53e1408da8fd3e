//! How fast tasks get done, beside the plain loop that people write.
//!
//! Workers and the server share the machine's CPUs, over loopback. Creators keep a
//! backlog of [`BACKLOG`] tasks; workers claim, and complete one by one. In the same
//! run, round after round: the plain loop on the same PostgreSQL ([`plain`]), and the
//! bare create of the same service. What counts is the ratio within a round;
//! absolute figures belong to the machine.
//!
//! ```text
//! cargo bench --bench work               # about fifteen minutes, 8 GB of disk
//! cargo bench --bench work -- --smoke    # does the harness work?
//! ```
//!
//! `KOOTASK_BENCH_SECONDS` (4) is the length of a measured window and
//! `KOOTASK_BENCH_ROUNDS` (3) the number of rounds. The database's CPU is that of
//! every process named postgres: let no other run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a benchmark may panic; it serves nobody"
)]

#[allow(dead_code, reason = "of the bare server the path alone is needed")]
#[path = "../create/bare.rs"]
mod bare;
mod claims;
#[allow(dead_code, reason = "the stand-in's bench uses the rest of it")]
mod client;
#[path = "../../tests/support/command.rs"]
mod command;
mod connection;
mod cpu;
mod drained;
#[allow(dead_code, reason = "it is the create bench's")]
#[path = "../create/load.rs"]
mod load;
mod plain;
#[allow(
    dead_code,
    unreachable_pub,
    clippy::panic,
    reason = "it is the tests', who use the rest of it"
)]
#[path = "../../tests/support/postgres.rs"]
mod postgres;
#[allow(dead_code, reason = "it is the create bench's")]
#[path = "../create/process.rs"]
mod process;
#[allow(dead_code, reason = "it is the create bench's")]
#[path = "../create/request.rs"]
mod request;
#[path = "../service/mod.rs"]
mod service;
mod waiting;
mod workers;

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use claims::Amounts;
use load::Plan;
use postgres::{PostgresServer, TestDatabase};
use process::Server;
use request::Credential;
use service::{PROGRAM, service};

/// Tasks that wait for a worker, so that no claim comes back empty.
const BACKLOG: u64 = 2000;
/// Workers, and how many tasks each claims at a time.
const WORKERS: [(usize, usize); 6] = [(1, 1), (16, 1), (64, 1), (1, 100), (16, 100), (64, 100)];

/// What a window came to.
struct Window {
    tasks: u64,
    seconds: f64,
    server_cpu: Duration,
    database_cpu: Duration,
}

impl Window {
    fn rate(&self) -> f64 {
        self.tasks as f64 / self.seconds
    }

    fn print(&self, name: &str) {
        let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / self.tasks.max(1) as f64;
        println!(
            "{name:<44} {:>9.0} tasks/s {:>8.1} µs server {:>8.1} µs database",
            self.rate(),
            each(self.server_cpu),
            each(self.database_cpu),
        );
    }
}

/// How long and how often to measure.
#[derive(Clone, Copy)]
struct Settings {
    warm_up: Duration,
    window: Duration,
    rounds: usize,
    /// Tasks that are waited for at the same instance, and at another.
    waits: [usize; 2],
    claims: Amounts,
}

fn settings(arguments: &[String]) -> Result<Settings, Box<dyn Error>> {
    let number = |name: &str, usual: f64| match env::var(name) {
        Ok(text) => text.parse().map_err(|_| format!("{name} is no number")),
        Err(_) => Ok(usual),
    };
    match arguments {
        [smoke, ..] if smoke == "--smoke" => Ok(Settings {
            warm_up: Duration::from_millis(200),
            window: Duration::from_millis(300),
            rounds: 1,
            waits: [20, 2],
            claims: Amounts {
                ended: [100, 1000],
                claims: 10,
                under_snapshot: 2000,
            },
        }),
        [] => Ok(Settings {
            warm_up: Duration::from_secs(1),
            window: Duration::from_secs_f64(number("KOOTASK_BENCH_SECONDS", 4.0)?),
            rounds: number("KOOTASK_BENCH_ROUNDS", 3.0)? as usize,
            waits: [500, 100],
            claims: Amounts {
                ended: [10_000, 10_000_000],
                claims: 2000,
                under_snapshot: 200_000,
            },
        }),
        [other, ..] => Err(format!("no such argument: {other}").into()),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let done = match arguments.split_first() {
        Some((first, rest)) if first == load::SUBCOMMAND => load::main(rest),
        _ => {
            // What cargo passes to every bench.
            let own = arguments.into_iter().filter(|own| own != "--bench");
            settings(&own.collect::<Vec<_>>()).and_then(bench)
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("work bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench(settings: Settings) -> Result<(), Box<dyn Error>> {
    // Below the target directory: a store on a tmpfs would be no store.
    let directory = tempfile::Builder::new()
        .prefix("bench-work-")
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let database = PostgresServer::start(&["min_wal_size=1GB"]);
    let mut number = 0;
    for round in 1..=settings.rounds {
        println!("\nround {round}");
        let plain = plain::measure(&database.database().url, settings)?;
        plain.print("plain loop, PostgreSQL, 16 connections");
        for store in ["SQLite", "PostgreSQL"] {
            number += 1;
            let folder = directory.path().join(number.to_string());
            std::fs::create_dir(&folder)?;
            let databases = database.database();
            let mut server = start(&folder, store, &databases)?;
            let plan = Plan {
                server: server.address,
                connections: 64,
                credential: Credential::Bearer,
                warm_up: settings.warm_up,
                window: settings.window,
            };
            let bare = process::measure(&mut server, &plan)?;
            server.stop()?;
            let rate = bare.outcome.requests as f64 / bare.outcome.seconds;
            println!(
                "{:<44} {rate:>9.0} creates/s",
                format!("bare create, {store}")
            );
            for (workers, batch) in WORKERS {
                number += 1;
                let folder = directory.path().join(number.to_string());
                std::fs::create_dir(&folder)?;
                let databases = database.database();
                let server = start(&folder, store, &databases)?;
                let window = workers::measure(&server, workers, batch, settings)
                    .map_err(|error| error.to_string())?;
                server.stop()?;
                window.print(&format!("{store}, {workers} workers claiming {batch}"));
                println!("{:>56.2} × the plain loop", window.rate() / plain.rate());
            }
        }
    }
    println!();
    drained::measure(directory.path(), &database, settings).map_err(|error| error.to_string())?;
    claims::under_snapshot(directory.path(), &database, settings.claims)?;
    println!("\nfrom a create's answer to the waiting claim's");
    for (name, store, across) in [
        ("SQLite", "SQLite", false),
        ("PostgreSQL", "PostgreSQL", false),
        ("PostgreSQL, another instance", "PostgreSQL", true),
    ] {
        let databases = database.database();
        let folders = ["one", "other"].map(|part| directory.path().join(format!("{name}-{part}")));
        for folder in &folders {
            std::fs::create_dir(folder)?;
        }
        let server = start(&folders[0], store, &databases)?;
        let other = match across {
            true => Some(start(&folders[1], store, &databases)?),
            false => None,
        };
        let claims_at = other.as_ref().map_or(server.address, |other| other.address);
        let tasks = settings.waits[usize::from(across)];
        waiting::measure(name, server.address, claims_at, tasks)?;
        server.stop()?;
        other.map_or(Ok(()), Server::stop)?;
    }
    // The last, for the database goes on to vacuum so many rows.
    println!();
    claims::among_ended(directory.path(), &database, settings.claims)
}

/// The service as shipped, with a store of its own.
fn start(folder: &Path, store: &str, database: &TestDatabase) -> Result<Server, Box<dyn Error>> {
    let url = match store {
        "SQLite" => format!("sqlite://{}", folder.join("kootask.db").display()),
        _ => database.url.clone(),
    };
    Server::start(&folder.join("log"), |listen: SocketAddr| {
        let mut command = service(PROGRAM, listen, &url);
        command.env("RUST_LOG", "warn");
        Ok(command)
    })
}
