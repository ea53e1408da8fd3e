//! How fast the create call is, beside the framework's limit.
//!
//! One run measures every [contender](contender::contenders) in turn, round
//! after round, forwards and backwards, under a closed loop of 64 and of 256 keep-alive connections over
//! loopback, so that all of them meet the machine in the same state. Each server
//! and the load have a process of their own. What counts is the ratio to the
//! bare axum server of the same run; absolute figures belong to the machine.
//!
//! ```text
//! cargo bench --bench create               # about three minutes
//! cargo bench --bench create -- --smoke    # does the harness work?
//! cargo bench --bench create -- --before target/before/kootask
//! ```
//!
//! With `--before`, another build of the program is measured in the same rounds: what a
//! change costs.
//!
//! `KOOTASK_BENCH_SECONDS` (4) is the length of a measured window and
//! `KOOTASK_BENCH_ROUNDS` (3) the number of rounds. Speed is no test: the exit
//! status tells only of errors, and any answer but the expected one is an error.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a benchmark may panic; it serves nobody"
)]

mod bare;
#[path = "../../tests/support/command.rs"]
mod command;
mod contender;
mod figures;
mod load;
#[allow(
    dead_code,
    unreachable_pub,
    clippy::panic,
    reason = "it is the tests', who use the rest of it"
)]
#[path = "../../tests/support/postgres.rs"]
mod postgres;
mod process;
mod report;
mod request;
#[path = "../service/mod.rs"]
mod service;
mod single;

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use contender::{Contender, Place};
use load::Plan;
use postgres::PostgresServer;
use process::Server;
use report::{Measured, Series};

/// That of the program: no contender is slower for the allocator it has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The numbers of connections, and the order they are measured in.
const CONNECTIONS: [usize; 2] = [64, 256];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let done = match arguments.split_first() {
        Some((first, rest)) if first == load::SUBCOMMAND => load::main(rest),
        Some((first, rest)) if first == bare::SUBCOMMAND => match rest {
            [listen] => bare::serve(listen).map_err(Into::into),
            _ => Err("which address to listen on?".into()),
        },
        Some((first, rest)) if first == single::SUBCOMMAND => single::serve(rest),
        _ => Settings::read(&arguments).and_then(|settings| bench(&settings)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("create bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How long and how often to measure.
struct Settings {
    warm_up: Duration,
    window: Duration,
    rounds: usize,
    /// Another build of the program to measure beside this one.
    before: Option<PathBuf>,
}

impl Settings {
    /// From the command line and the environment.
    fn read(arguments: &[String]) -> Result<Self, Box<dyn Error>> {
        let mut smoke = false;
        let mut before = None;
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--smoke" => smoke = true,
                "--before" => {
                    let program = arguments.next().ok_or("which program was before?")?;
                    before = Some(fs::canonicalize(program)?);
                }
                // What cargo passes to every bench.
                "--bench" => {}
                other => return Err(format!("no such argument: {other}").into()),
            }
        }
        if smoke {
            return Ok(Self {
                warm_up: Duration::from_millis(200),
                window: Duration::from_millis(300),
                rounds: 1,
                before,
            });
        }
        let seconds: f64 = from_environment("KOOTASK_BENCH_SECONDS", 4.0)?;
        let rounds = from_environment("KOOTASK_BENCH_ROUNDS", 3)?;
        if !(0.1..=60.0).contains(&seconds) || !(1..=100).contains(&rounds) {
            return Err("a window takes 0.1 to 60 s, and there are 1 to 100 rounds".into());
        }
        Ok(Self {
            warm_up: Duration::from_secs(1),
            window: Duration::from_secs_f64(seconds),
            rounds,
            before,
        })
    }
}

/// A number from the environment, or the default where it is not set.
fn from_environment<T: FromStr>(name: &str, default: T) -> Result<T, Box<dyn Error>> {
    match env::var(name) {
        Err(env::VarError::NotPresent) => Ok(default),
        value => value?
            .parse()
            .map_err(|_| format!("{name} is not a number").into()),
    }
}

/// Measures everything and prints the report.
fn bench(settings: &Settings) -> Result<(), Box<dyn Error>> {
    // Below the target directory: a store on a tmpfs would be no store.
    let directory = tempfile::Builder::new()
        .prefix("bench-create-")
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    println!(
        "create: {} rounds of {:?} after {:?} of warm-up, closed loop on loopback, {} CPUs for \
         server and load together; the servers log every request, as shipped, to files in {}",
        settings.rounds,
        settings.window,
        settings.warm_up,
        std::thread::available_parallelism()?,
        directory.path().display(),
    );

    let database = warm_server();
    let contenders = contender::contenders(settings.before.clone());
    let mut all = Vec::new();
    for connections in CONNECTIONS {
        match series(
            settings,
            &contenders,
            connections,
            &database,
            directory.path(),
        ) {
            Ok(series) => {
                series.print();
                all.push(series);
            }
            Err(error) => {
                let kept = directory.keep();
                return Err(
                    format!("{error}\nthe servers' files are in {}", kept.display()).into(),
                );
            }
        }
    }
    report::print_bars(&all);
    println!(
        "\nMedians over the rounds; a ratio is taken within each round, and server CPU to within \
         20 ms a window."
    );
    Ok(())
}

/// A PostgreSQL as Debian ships it, with fsync and no larger buffers, that has
/// been up for a while: the segments of its write-ahead log have been made and are
/// used again. A new server stops at every 16 MB to make one.
fn warm_server() -> PostgresServer {
    let server = PostgresServer::start(&["min_wal_size=1GB"]);
    let scratch = server.database();
    for _ in 0..64 {
        scratch.sql("SELECT txid_current(), pg_switch_wal()");
    }
    scratch.sql("CHECKPOINT");
    server
}

/// Measures every contender at one number of connections.
///
/// Each starts once, with a fresh store, and stays up through all the rounds, so
/// that what grows with the tasks it holds counts. One that waits its turn uses
/// no CPU.
fn series(
    settings: &Settings,
    contenders: &[Contender],
    connections: usize,
    database: &PostgresServer,
    directory: &Path,
) -> Result<Series, Box<dyn Error>> {
    let mut servers = Vec::new();
    for contender in contenders {
        let name = format!("{}-{connections}", contender.key);
        let log = directory.join(format!("{name}.log"));
        let directory = directory.join(name);
        fs::create_dir(&directory)?;
        servers.push(Server::start(&log, |listen| {
            (contender.start)(&Place {
                listen,
                directory,
                database: database.database(),
            })
        })?);
    }

    let mut windows: Vec<Vec<_>> = contenders.iter().map(|_| Vec::new()).collect();
    let mut order: Vec<usize> = (0..contenders.len()).collect();
    for round in 1..=settings.rounds {
        for &index in &order {
            let (contender, server) = (&contenders[index], &mut servers[index]);
            let plan = Plan {
                server: server.address,
                connections,
                credential: contender.credential,
                warm_up: settings.warm_up,
                window: settings.window,
            };
            let window = process::measure(server, &plan).map_err(|error| {
                format!(
                    "({}) {}, {connections} connections, round {round}: {error}",
                    contender.key, contender.name
                )
            })?;
            windows[index].push(window);
        }
        // What one leaves behind, the next has to bear: not always the same.
        order.reverse();
    }

    let mut measured = Vec::new();
    for ((contender, server), windows) in contenders.iter().zip(servers).zip(windows) {
        measured.push(Measured::new(contender, windows, server.memory()?));
        server.stop()?;
    }
    Ok(Series {
        connections,
        contenders: measured,
    })
}
