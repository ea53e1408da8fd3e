//! What one caller at full speed costs another: the reads of a modest caller, one
//! at a time, alone and beside a greedy one, each with a credential of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use hdrhistogram::Histogram;
use kootask::auth::stand_in;
use sha2::{Digest, Sha256};

use crate::Settings;
use crate::client::Client;
use crate::fill;
use crate::greedy::Greedy;
use crate::operation::OPERATIONS;
use crate::population::Population;
use crate::process::Server;
use crate::service::{PROGRAM, service};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What the modest caller may be slowed down by, at the most.
const BOUND: f64 = 3.0;
/// Parts of each kind: the machine is not the same all the time.
const PARTS: usize = 10;
/// After which nothing is left of what the greedy one asked for.
const REST: Duration = Duration::from_secs(1);
const MODEST: &str = "bench-token";
const GREEDY: &str = "greedy-token";

/// Measures, and prints the report.
pub(crate) fn bench(settings: &Settings, stores: &Path) -> Result<()> {
    let filled = fill::fill(stores, settings.sizes[1], true)?;
    let population = filled.population;
    let server = start(&filled.database, stores)?;
    println!(
        "fairness: twice {} reads of pages of 100 tasks, closed loop of one connection; in every \
         second of {} parts beside {} connections that ask for the same without a pause; {} CPUs \
         for servers and clients together",
        settings.fair_requests,
        2 * PARTS,
        settings.greedy_connections,
        std::thread::available_parallelism()?,
    );
    let pages = (OPERATIONS[0].ask)(population, &mut rand::rng()).path;
    let mut alone = Histogram::new_with_bounds(1, 60_000_000, 3)?;
    let (mut beside, mut answered) = (alone.clone(), 0);
    for _ in 0..PARTS {
        let requests = settings.fair_requests / PARTS;
        modest(server.address, population, requests, &mut alone)?;
        let connections = settings.greedy_connections;
        let greedy = Greedy::start(server.address, GREEDY, &pages, connections)?;
        greedy.wait_until_at_work();
        modest(server.address, population, requests, &mut beside)?;
        answered += greedy.end()?;
        std::thread::sleep(REST);
    }
    server.stop()?;

    println!("\n| modest caller | p50 | p99 | slowest |");
    println!("| --- | --- | --- | --- |");
    for (name, times) in [("alone", &alone), ("beside the greedy one", &beside)] {
        let millis = |micros: u64| micros as f64 / 1e3;
        println!(
            "| {name} | {:.2} ms | {:.2} ms | {:.2} ms |",
            millis(times.value_at_quantile(0.5)),
            millis(times.value_at_quantile(0.99)),
            millis(times.max()),
        );
    }
    let p99 = |times: &Histogram<u64>| times.value_at_quantile(0.99).max(1) as f64;
    println!(
        "\np99 beside : alone = {:.2} (at most {BOUND} is meant); the greedy one was answered \
         {answered} times",
        p99(&beside) / p99(&alone)
    );
    Ok(())
}

/// The service, with a credential for each caller.
fn start(database: &Path, folder: &Path) -> Result<Server> {
    let store = format!("sqlite://{}", database.display());
    Server::start(&folder.join("fairness.log"), |listen| {
        let mut command = service(PROGRAM, listen, &store);
        for (place, token) in [MODEST, GREEDY].into_iter().enumerate() {
            let entry = format!("KOOTASK__AUTH__TOKENS__{place}__");
            let digest = hex::encode(Sha256::digest(token));
            command
                .env(entry.clone() + "TOKEN_SHA256", digest)
                .env(entry + "TENANT_ID", stand_in::TENANT);
        }
        Ok(command)
    })
}

/// Takes the times of so many of the modest caller's reads, in microseconds.
fn modest(
    server: SocketAddr,
    population: Population,
    requests: usize,
    times: &mut Histogram<u64>,
) -> Result<()> {
    let mut random = rand::rng();
    let mut client = Client::connect(server, MODEST)?;
    for _ in 0..requests {
        let question = (OPERATIONS[0].ask)(population, &mut random);
        let answer = client.get(&question.path)?;
        let latency = u64::try_from(answer.latency.as_micros())?.max(1);
        question.check(answer.status, answer.body)?;
        times.record(latency)?;
    }
    Ok(())
}
