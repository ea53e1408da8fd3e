//! What the stand-in takes: to start, to be there, to be used for long, and to end.
//!
//! The program is started some times: how long it is until its first answer, what
//! memory it has then, and how soon it has ended after SIGTERM while six streams of
//! events are open. Then one is sent a million creates, and another 600 thousand with
//! a key each, with the settings that it is shipped with: its memory is told along the
//! way. Once twice `max_tasks` have been created it may not grow any more.
//!
//! ```text
//! cargo bench --bench stand_in               # about three minutes
//! cargo bench --bench stand_in -- --smoke    # does the harness work?
//! ```
//!
//! Speed is no test: the exit status tells of errors and of memory that grows.

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
#[allow(dead_code, reason = "it is the work bench's")]
#[path = "../work/client.rs"]
mod client;
#[path = "../../tests/support/command.rs"]
mod command;
#[allow(dead_code, reason = "it is the create bench's")]
#[path = "../create/load.rs"]
mod load;
#[allow(dead_code, reason = "it is the create bench's")]
#[path = "../create/process.rs"]
mod process;
#[allow(dead_code, reason = "it is the create bench's")]
#[path = "../create/request.rs"]
mod request;
#[allow(dead_code, reason = "of the service the program alone is needed")]
#[path = "../service/mod.rs"]
mod service;

use std::env;
use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use client::Client;
use command::command;
use process::Server;
use service::PROGRAM;

/// The connections of the creates.
const CONNECTIONS: u64 = 16;
/// How often its memory is told while a stand-in is filled.
const STEPS: u64 = 10;
/// The open streams of events at an end.
const STREAMS: usize = 6;
const MIB: f64 = 1024.0 * 1024.0;

/// How much to measure, and what may be kept.
struct Settings {
    starts: usize,
    creates: u64,
    keys: u64,
    journal: u64,
    max_tasks: u64,
    /// By how much memory may grow after twice `max_tasks` creates, as a ratio.
    growth: f64,
}

const FULL: Settings = Settings {
    starts: 20,
    creates: 1_000_000,
    keys: 600_000,
    journal: 10_000,
    max_tasks: 100_000,
    growth: 1.1,
};

/// Of so little the memory tells nothing.
const SMOKE: Settings = Settings {
    starts: 1,
    creates: 2_000,
    keys: 1_000,
    journal: 100,
    max_tasks: 200,
    growth: f64::INFINITY,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments = arguments.iter().filter(|argument| *argument != "--bench");
    let done = match arguments.map(String::as_str).collect::<Vec<_>>()[..] {
        [] => bench(&FULL),
        ["--smoke"] => bench(&SMOKE),
        _ => Err("the one argument is --smoke".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stand_in bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    starts(settings, folder.path())?;
    let filled = fill(settings, folder.path(), settings.creates, false)
        .and_then(|()| fill(settings, folder.path(), settings.keys, true));
    filled.inspect_err(|_| eprintln!("the stand-in's log is in {}", folder.keep().display()))
}

fn start(settings: &Settings, folder: &Path) -> Result<Server, Box<dyn Error>> {
    Server::start(&folder.join("log"), |listen| {
        let mut command = command(PROGRAM);
        command
            .args(["dev", "--listen", &listen.to_string()])
            .env("KOOTASK__DEV__JOURNAL", settings.journal.to_string())
            .env("KOOTASK__DEV__MAX_TASKS", settings.max_tasks.to_string())
            .env("KOOTASK__SERVER__OPS_LISTEN", "off")
            .env("RUST_LOG", "warn")
            .current_dir(folder);
        Ok(command)
    })
}

/// Starts and ends stand-ins.
fn starts(settings: &Settings, folder: &Path) -> Result<(), Box<dyn Error>> {
    let (mut first, mut idle, mut end) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..settings.starts {
        let begun = Instant::now();
        let server = start(settings, folder)?;
        Client::connect(server.address)?.get("/kootask/dev/health")?;
        first.push(milliseconds(begun.elapsed()));
        idle.push(server.memory()?.resident as f64 / MIB);
        let streams = (0..STREAMS).map(|_| stream(&server));
        let streams = streams.collect::<Result<Vec<_>, _>>()?;
        let begun = Instant::now();
        server.stop()?;
        end.push(milliseconds(begun.elapsed()));
        drop(streams);
    }
    println!("{} starts", settings.starts);
    print("first answer, ms", first, 50.0);
    print("memory at it, MiB", idle, 20.0);
    print("end after SIGTERM, ms", end, 1000.0);
    Ok(())
}

/// An open stream of events.
fn stream(server: &Server) -> Result<TcpStream, Box<dyn Error>> {
    let mut stream = TcpStream::connect(server.address)?;
    stream.write_all(b"GET /kootask/dev/events HTTP/1.1\r\nHost: bench\r\n\r\n")?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    if head == *b"HTTP/1.1 200" {
        Ok(stream)
    } else {
        Err("there is no stream of events".into())
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn print(what: &str, mut values: Vec<f64>, aim: f64) {
    values.sort_unstable_by(f64::total_cmp);
    let (median, worst) = (values[values.len() / 2], values[values.len() - 1]);
    println!("{what:<24} median {median:>7.1}  worst {worst:>7.1}  aim {aim:>6.0}");
}

/// Sends a stand-in creates, each with a key if wished; fails where more is kept than
/// was said, or memory grows.
fn fill(
    settings: &Settings,
    folder: &Path,
    creates: u64,
    with_keys: bool,
) -> Result<(), Box<dyn Error>> {
    let server = start(settings, folder)?;
    let what = if with_keys { "a key each" } else { "no keys" };
    println!("\n{creates} creates, {what}");
    let clients = (0..CONNECTIONS).map(|_| Client::connect(server.address));
    let mut clients = clients.collect::<Result<Vec<_>, _>>()?;
    let mut when_full = None;
    for step in 1..=STEPS {
        let begun = Instant::now();
        let share = creates / STEPS / CONNECTIONS;
        create(&mut clients, step, share, with_keys)?;
        let rate = (share * CONNECTIONS) as f64 / begun.elapsed().as_secs_f64();
        let done = step * share * CONNECTIONS;
        let resident = server.memory()?.resident as f64 / MIB;
        println!("{done:>9} done {rate:>9.0} creates/s {resident:>8.1} MiB");
        if done >= 2 * settings.max_tasks {
            let full = *when_full.get_or_insert(resident);
            if resident > full * settings.growth {
                return Err(format!("memory grew from {full:.1} to {resident:.1} MiB").into());
            }
        }
    }
    bounds(settings, &mut clients[0])?;
    server.stop()
}

/// Has each client create its share.
fn create(
    clients: &mut [Client],
    step: u64,
    share: u64,
    with_keys: bool,
) -> Result<(), Box<dyn Error>> {
    let creates = |(number, client): (usize, &mut Client)| {
        for one in 0..share {
            let key = format!("Idempotency-Key: {step}-{number}-{one}\r\n");
            let created = client.create_with(if with_keys { &key } else { "" });
            created.map_err(|error| error.to_string())?;
        }
        Ok::<_, String>(())
    };
    thread::scope(|scope| {
        let clients = clients.iter_mut().enumerate();
        let running: Vec<_> = clients
            .map(|client| scope.spawn(move || creates(client)))
            .collect();
        for running in running {
            running.join().expect("a client does not panic")?;
        }
        Ok(())
    })
}

/// Fails where more is kept than was said.
fn bounds(settings: &Settings, client: &mut Client) -> Result<(), Box<dyn Error>> {
    let mut count = |path: &str, list: &str| {
        let answer = client.get(&format!("/kootask/dev/{path}"))?;
        let entries = answer[list].as_array().ok_or("no list")?.len() as u64;
        Ok::<_, Box<dyn Error>>(entries)
    };
    let (entries, tasks) = (count("journal", "entries")?, count("state", "tasks")?);
    println!("kept: {entries} requests, {tasks} tasks");
    if entries > settings.journal || tasks > settings.max_tasks {
        return Err("more is kept than was said".into());
    }
    Ok(())
}
