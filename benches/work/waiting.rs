//! How soon a worker that waits has a task that was created.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::client::Client;

/// Let the worker's next claim be there before a task is created.
const PAUSE: Duration = Duration::from_millis(5);

/// Creates tasks one by one at one instance, claims them at another or the same,
/// and prints what passes between the two answers.
pub(crate) fn measure(
    name: &str,
    creates_at: SocketAddr,
    claims_at: SocketAddr,
    tasks: usize,
) -> Result<(), Box<dyn Error>> {
    let (claimed, answers) = mpsc::channel();
    let worker = thread::spawn(move || -> Result<(), String> {
        let told = |error: Box<dyn Error>| error.to_string();
        let mut client = Client::connect(claims_at).map_err(told)?;
        for _ in 0..tasks {
            let given = client.claim(1, 30).map_err(told)?;
            let at = Instant::now();
            let (id, fence) = given.into_iter().next().ok_or("nothing in 30 s")?;
            client.complete(&id, fence).map_err(told)?;
            claimed.send((id, at)).map_err(|error| error.to_string())?;
        }
        Ok(())
    });
    let mut client = Client::connect(creates_at)?;
    let mut micros: Histogram<u64> = Histogram::new_with_bounds(1, 600_000_000, 3)?;
    for _ in 0..tasks {
        thread::sleep(PAUSE);
        let id = client.create()?;
        let created = Instant::now();
        let Ok((given, at)) = answers.recv() else {
            break;
        };
        if id != given {
            return Err(format!("{given} was given, not {id}").into());
        }
        // The claim may be answered before the create.
        let passed = at.saturating_duration_since(created).as_micros();
        micros.record(u64::try_from(passed)?.max(1))?;
    }
    worker.join().map_err(|_| "the worker panicked")??;
    let at = |quantile| micros.value_at_quantile(quantile) as f64 / 1e3;
    println!(
        "{name:<44} p50 {:>8.2} ms   p99 {:>8.2} ms",
        at(0.5),
        at(0.99)
    );
    Ok(())
}
