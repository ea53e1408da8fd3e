//! That reads do not slow down with the number of tasks, nor creates.
//!
//! Stores of 10 thousand, 1 million and 10 million tasks are filled in bulk, and
//! the service is started on each. One client then asks all of them the same
//! kinds of question in turn, a few at a time, so that they meet the machine in
//! the same state: what counts is the ratio of the largest to the smallest.
//! Every answer is checked. The stores are in the page cache: the disk is not
//! what is compared.
//!
//! ```text
//! cargo bench --bench list               # about two minutes, 3 GB of disk
//! cargo bench --bench list -- --smoke    # does the harness work?
//! cargo bench --bench list -- --fairness # one caller at full speed beside another
//! ```
//!
//! With `KOOTASK_BENCH_KEEP=1` the larger stores stay in the target directory
//! and are used again. Speed is no test: the exit status tells only of errors.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a benchmark may panic; it serves nobody"
)]

// The load of creates and the handling of processes are those of the other
// bench, which uses more of them.
#[allow(dead_code, reason = "shared")]
#[path = "../create/bare.rs"]
mod bare;
#[path = "../../tests/support/command.rs"]
mod command;
#[path = "../create/figures.rs"]
mod figures;
#[path = "../create/load.rs"]
mod load;
#[allow(dead_code, reason = "shared")]
#[path = "../create/process.rs"]
mod process;
#[allow(dead_code, reason = "shared")]
#[path = "../create/request.rs"]
mod request;
#[path = "../service/mod.rs"]
mod service;

mod client;
mod fairness;
mod fill;
mod greedy;
mod operation;
mod population;
mod report;
mod runs;

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use client::Client;
use fill::Filled;
use load::Plan;
use operation::OPERATIONS;
use process::{Memory, Server, Window};
use request::Credential;
use service::{PROGRAM, service};

/// The connections of the creates.
const CREATE_CONNECTIONS: usize = 64;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let done = match arguments.split_first() {
        Some((first, rest)) if first == load::SUBCOMMAND => load::main(rest),
        _ => Settings::read(&arguments).and_then(|settings| {
            if settings.fairness {
                measure_fairness(&settings)
            } else {
                bench(&settings)
            }
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("list bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How much to measure.
struct Settings {
    /// The numbers of tasks, ascending.
    sizes: &'static [u64],
    rounds: usize,
    /// The requests of one kind that each server is sent in a round.
    requests: usize,
    /// Whether stores are kept from run to run.
    keep: bool,
    create_rounds: usize,
    create_warm_up: Duration,
    create_window: Duration,
    /// Whether it is fairness that is measured, and nothing else.
    fairness: bool,
    /// The reads of the modest caller, alone and once more.
    fair_requests: usize,
    /// The connections of the greedy one.
    greedy_connections: usize,
}

impl Settings {
    /// From the command line and the environment.
    fn read(arguments: &[String]) -> Result<Self, Box<dyn Error>> {
        let (mut smoke, mut fairness) = (false, false);
        for argument in arguments {
            match argument.as_str() {
                "--smoke" => smoke = true,
                "--fairness" => fairness = true,
                // What cargo passes to every bench.
                "--bench" => {}
                other => return Err(format!("no such argument: {other}").into()),
            }
        }
        if smoke {
            return Ok(Self {
                // The larger one has a run in its index.
                sizes: &[1_000, 70_000],
                rounds: 2,
                requests: 5,
                keep: false,
                create_rounds: 1,
                create_warm_up: Duration::from_millis(200),
                create_window: Duration::from_millis(300),
                fairness,
                fair_requests: 100,
                greedy_connections: 16,
            });
        }
        Ok(Self {
            sizes: &[10_000, 1_000_000, 10_000_000],
            rounds: 100,
            requests: 20,
            keep: env::var_os("KOOTASK_BENCH_KEEP").is_some_and(|value| value == "1"),
            create_rounds: 6,
            create_warm_up: Duration::from_millis(500),
            create_window: Duration::from_secs(2),
            fairness,
            fair_requests: 5_000,
            greedy_connections: 512,
        })
    }
}

/// A store with the server on it, and what was measured of it.
struct Contender {
    filled: Filled,
    server: Server,
    /// From the start of the process until it accepts connections.
    start_up: Duration,
    after_start: Memory,
    /// In microseconds, for each of [`OPERATIONS`].
    reads: Vec<Histogram<u64>>,
    /// One for each round; nothing if creates were not measured.
    creates: Vec<Window>,
}

/// A folder below the target directory, gone after use: a store on a tmpfs would be
/// no store.
fn temporary() -> std::io::Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix("bench-list-")
        .tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR")))
}

fn measure_fairness(settings: &Settings) -> Result<(), Box<dyn Error>> {
    fairness::bench(settings, temporary()?.path())
}

/// Measures everything and prints the report.
fn bench(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let temporary = temporary()?;
    let stores = if settings.keep {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-list")
    } else {
        temporary.path().to_owned()
    };
    fs::create_dir_all(&stores)?;
    println!(
        "list: {} rounds of {} requests of each kind after one of warm-up, closed loop of one \
         connection on loopback, {} CPUs for servers and client together; stores, read into the \
         page cache first, in {}\n",
        settings.rounds,
        settings.requests,
        std::thread::available_parallelism()?,
        stores.display(),
    );

    let mut all_filled = Vec::new();
    for (nth, tasks) in settings.sizes.iter().enumerate() {
        // Creates make much of the smallest, and nothing of the others.
        let filled = fill::fill(&stores, *tasks, nth > 0)?;
        report::print_filled(&filled);
        all_filled.push(filled);
    }
    let mut contenders = Vec::new();
    for filled in all_filled {
        contenders.push(Contender::start(filled, temporary.path())?);
    }
    read(settings, &mut contenders)?;
    create(settings, &mut contenders)?;
    report::print(&contenders)?;
    for contender in contenders {
        contender.server.stop()?;
    }
    Ok(())
}

impl Contender {
    /// Starts the service as shipped on a store, its output going to a file in
    /// `logs`.
    fn start(filled: Filled, logs: &Path) -> Result<Self, Box<dyn Error>> {
        let log: PathBuf = logs.join(format!("{}.log", filled.population.tasks));
        let mut started = Instant::now();
        let server = Server::start(&log, |listen| {
            let store = format!("sqlite://{}", filled.database.display());
            let command = service(PROGRAM, listen, &store);
            started = Instant::now();
            Ok(command)
        })?;
        let start_up = started.elapsed();
        let reads = OPERATIONS
            .iter()
            .map(|_| Histogram::new_with_bounds(1, 60_000_000, 3))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            filled,
            start_up,
            after_start: server.memory()?,
            server,
            reads,
            creates: Vec::new(),
        })
    }
}

/// Asks every server everything, round after round.
fn read(settings: &Settings, contenders: &mut [Contender]) -> Result<(), Box<dyn Error>> {
    let mut random = rand::rng();
    let mut clients = Vec::new();
    for contender in &*contenders {
        clients.push(Client::connect(contender.server.address, "bench-token")?);
    }
    for round in 0..=settings.rounds {
        for (nth, operation) in OPERATIONS.iter().enumerate() {
            for turn in 0..contenders.len() {
                // None of them always comes first.
                let turn = (turn + round) % contenders.len();
                let contender = &mut contenders[turn];
                for _ in 0..settings.requests {
                    let question = (operation.ask)(contender.filled.population, &mut random);
                    let answer = clients[turn].get(&question.path)?;
                    let latency = u64::try_from(answer.latency.as_micros())?.max(1);
                    question.check(answer.status, answer.body)?;
                    // The first round is the warm-up.
                    if round > 0 {
                        contender.reads[nth].record(latency)?;
                    }
                }
                contender.server.check()?;
            }
        }
    }
    Ok(())
}

/// Creates tasks in the smallest and in the largest store.
fn create(settings: &Settings, contenders: &mut [Contender]) -> Result<(), Box<dyn Error>> {
    let mut turns = [0, contenders.len() - 1];
    for _ in 0..settings.create_rounds {
        for turn in turns {
            let contender = &mut contenders[turn];
            let plan = Plan {
                server: contender.server.address,
                connections: CREATE_CONNECTIONS,
                credential: Credential::Signed,
                warm_up: settings.create_warm_up,
                window: settings.create_window,
            };
            let window = process::measure(&mut contender.server, &plan)?;
            contender.creates.push(window);
        }
        // Neither of them always comes first.
        turns.reverse();
    }
    Ok(())
}
