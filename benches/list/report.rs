//! The figures of a run, side by side, and how they compare with the bars.

use std::error::Error;

use hdrhistogram::Histogram;

use crate::figures::{median, megabytes};
use crate::fill::Filled;
use crate::operation::OPERATIONS;
use crate::process::Window;
use crate::{CREATE_CONNECTIONS, Contender};

/// How many times the smallest store's p99 the largest one's may be.
const RATIO_BAR: f64 = 2.0;
/// The p99 of the largest store, in milliseconds.
const LATENCY_BAR: f64 = 5.0;
/// The columns of a store in the table of reads.
const STORE_WIDTH: usize = 18;

/// Prints what a store was filled with.
pub(crate) fn print_filled(filled: &Filled) {
    let took = match filled.took {
        Some(took) => format!("filled in {:.1} s", took.as_secs_f64()),
        None => "kept from a run before".to_owned(),
    };
    println!(
        "{} tasks: {took}, {:.1} MB; source users in runs of levels {:?}, and {} in the tail",
        counted(filled.population.tasks),
        megabytes(filled.bytes),
        filled.levels,
        filled.tail,
    );
}

/// Prints everything that was measured.
pub(crate) fn print(contenders: &[Contender]) -> Result<(), Box<dyn Error>> {
    let (Some(smallest), Some(largest)) = (contenders.first(), contenders.last()) else {
        return Ok(());
    };
    print_reads(contenders, smallest, largest);
    print_creates(smallest, largest);
    println!(
        "\n{:<16} {:>12} {:>17} {:>15}",
        "servers", "start-up ms", "RSS MB at start", "RSS MB at end"
    );
    for contender in contenders {
        println!(
            "{:<16} {:>12.0} {:>17.1} {:>15.1}",
            counted(contender.filled.population.tasks),
            contender.start_up.as_secs_f64() * 1e3,
            megabytes(contender.after_start.resident),
            megabytes(contender.server.memory()?.resident),
        );
    }
    println!("\nStart-up is known to within 10 ms.");
    Ok(())
}

fn print_reads(contenders: &[Contender], smallest: &Contender, largest: &Contender) {
    print!("\n{:<30}", "reads, ms");
    for contender in contenders {
        let tasks = counted(contender.filled.population.tasks);
        print!(" {tasks:>STORE_WIDTH$}");
    }
    print!("\n{:<30}", "");
    for _ in contenders {
        print!(" {:>8} {:>9}", "p50", "p99");
    }
    println!(" {:>8}", "p99 x");
    for (nth, operation) in OPERATIONS.iter().enumerate() {
        print!("{:<30}", operation.name);
        for contender in contenders {
            let latencies = &contender.reads[nth];
            print!(
                " {:>8.3} {:>9.3}",
                quantile(latencies, 0.50),
                quantile(latencies, 0.99)
            );
        }
        let p99 = quantile(&largest.reads[nth], 0.99);
        let ratio = p99 / quantile(&smallest.reads[nth], 0.99);
        let verdict = if ratio <= RATIO_BAR && p99 < LATENCY_BAR {
            "met"
        } else {
            "NOT MET"
        };
        println!(" {ratio:>8.2}  {verdict}");
    }
    println!(
        "The bar: p99 of the largest store within {RATIO_BAR} times the smallest one's, and under \
         {LATENCY_BAR} ms."
    );
}

fn print_creates(smallest: &Contender, largest: &Contender) {
    println!(
        "\n{:<16} {:>9} {:>8} {:>9}  creates/s in each round",
        format!("{CREATE_CONNECTIONS} connections"),
        "creates/s",
        "p99 ms",
        "CPU us/rq"
    );
    for contender in [smallest, largest] {
        let of_all =
            |figure: fn(&Window) -> f64| median(contender.creates.iter().map(figure).collect());
        print!(
            "{:<16} {:>9.0} {:>8.2} {:>9.1} ",
            counted(contender.filled.population.tasks),
            of_all(creates),
            of_all(create_p99),
            of_all(create_cpu)
        );
        for window in &contender.creates {
            print!(" {:.0}", creates(window));
        }
        println!();
    }
    let ratio = |figure: fn(&Window) -> f64| {
        let rounds = largest.creates.iter().zip(&smallest.creates);
        median(
            rounds
                .map(|(large, small)| figure(large) / figure(small))
                .collect(),
        )
    };
    println!(
        "{:<16} {:>9.2} {:>8.2} {:>9.2}  the median of the rounds' ratios",
        "ratio",
        ratio(creates),
        ratio(create_p99),
        ratio(create_cpu)
    );
}

/// Creates a second.
fn creates(window: &Window) -> f64 {
    requests(window) / window.outcome.seconds
}

/// In milliseconds.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn create_p99(window: &Window) -> f64 {
    window.outcome.p99_us as f64 / 1e3
}

/// The server's CPU time in microseconds a create.
fn create_cpu(window: &Window) -> f64 {
    window.server_cpu.as_secs_f64() * 1e6 / requests(window)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn requests(window: &Window) -> f64 {
    window.outcome.requests as f64
}

/// A number of tasks in words.
fn counted(tasks: u64) -> String {
    if tasks >= 1_000_000 {
        format!("{} million", tasks / 1_000_000)
    } else {
        format!("{} thousand", tasks / 1_000)
    }
}

/// In milliseconds.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn quantile(latencies: &Histogram<u64>, quantile: f64) -> f64 {
    latencies.value_at_quantile(quantile) as f64 / 1e3
}
