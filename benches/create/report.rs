//! The figures of a run, and how they compare with the bars.

use crate::contender::{BEFORE, Contender, LIMIT, MEMORY, POSTGRES, SINGLE, SQLITE};
use crate::figures::{median, megabytes};
use crate::process::{Memory, Window};

/// Everything measured at one number of connections.
pub(crate) struct Series {
    pub(crate) connections: usize,
    /// In the order of the contenders.
    pub(crate) contenders: Vec<Measured>,
}

/// Everything measured of one contender.
pub(crate) struct Measured {
    pub(crate) key: &'static str,
    pub(crate) name: &'static str,
    /// One a round.
    pub(crate) windows: Vec<Window>,
    /// After the last round.
    pub(crate) memory: Memory,
}

impl Measured {
    pub(crate) fn new(contender: &Contender, windows: Vec<Window>, memory: Memory) -> Self {
        Self {
            key: contender.key,
            name: contender.name,
            windows,
            memory,
        }
    }

    /// A figure's median over the rounds.
    fn median(&self, figure: fn(&Window) -> f64) -> f64 {
        median(self.windows.iter().map(figure).collect())
    }

    /// The median over the rounds of a figure's ratio to the limit's in the same
    /// round, so that what drifts in the machine touches both sides alike.
    fn ratio(&self, limit: &Self, figure: fn(&Window) -> f64) -> f64 {
        let pairs = self.windows.iter().zip(&limit.windows);
        median(
            pairs
                .map(|(own, limit)| figure(own) / figure(limit))
                .collect(),
        )
    }
}

impl Series {
    fn contender(&self, key: &str) -> Option<&Measured> {
        self.contenders.iter().find(|measured| measured.key == key)
    }

    /// Prints the table.
    pub(crate) fn print(&self) {
        println!("\n{} connections", self.connections);
        println!(
            "{:<28} {:>8} {:>15} {:>7} {:>8} {:>8} {:>8} {:>8} {:>9} {:>8} {:>6} {:>6}",
            "",
            "req/s",
            "(min-max)",
            "x (a)",
            "p50 ms",
            "p99 ms",
            "p99 x(a)",
            "max ms",
            "CPU us/rq",
            "load us",
            "RSS MB",
            "peak",
        );
        let Some(limit) = self.contender(LIMIT) else {
            return;
        };
        for measured in &self.contenders {
            let rates = measured.windows.iter().map(throughput);
            let lowest = rates.clone().fold(f64::INFINITY, f64::min);
            let highest = rates.fold(0.0, f64::max);
            println!(
                "{:<28} {:>8.0} {:>15} {:>7.2} {:>8.2} {:>8.2} {:>8.2} {:>8.1} {:>9.1} {:>8.1} {:>6.1} {:>6.1}",
                format!("({}) {}", measured.key, measured.name),
                measured.median(throughput),
                format!("({lowest:.0}-{highest:.0})"),
                measured.ratio(limit, throughput),
                measured.median(p50),
                measured.median(p99),
                measured.ratio(limit, p99),
                measured.median(longest),
                measured.median(server_cpu),
                measured.median(load_cpu),
                megabytes(measured.memory.resident),
                megabytes(measured.memory.peak),
            );
        }
    }
}

/// Prints each bar with what was measured.
pub(crate) fn print_bars(series: &[Series]) {
    println!(
        "\n{:<54} {:>9} {:>7} {:>7}",
        "bars", "measured", "floor", "aim"
    );
    for bar in &BARS {
        let at = series
            .iter()
            .filter(|series| bar.connections.contains(&series.connections));
        for series in at {
            let (Some(measured), Some(other)) = (
                series.contender(bar.contender),
                series.contender(bar.against),
            ) else {
                continue;
            };
            let value = (bar.figure)(measured, other);
            println!(
                "{:<54} {value:>9.2} {:>7} {:>7}  {}",
                format!(
                    "({}) {}, {} connections",
                    bar.contender,
                    bar.what.replace("OTHER", &format!("({})'s", bar.against)),
                    series.connections
                ),
                bar.floor,
                bar.aim,
                bar.verdict(value)
            );
        }
    }
}

/// A figure with the value it must have and the one it should have. Which way is
/// better shows in the two.
struct Bar {
    contender: &'static str,
    /// The other that the figure compares it with, if it does.
    against: &'static str,
    what: &'static str,
    /// Of the contender, and of the other.
    figure: fn(&Measured, &Measured) -> f64,
    /// The numbers of connections where it stands.
    connections: &'static [usize],
    floor: f64,
    aim: f64,
}

impl Bar {
    fn verdict(&self, value: f64) -> &'static str {
        let reaches = |mark: f64| {
            if self.aim > self.floor {
                value >= mark
            } else {
                value <= mark
            }
        };
        if reaches(self.aim) {
            "aim met"
        } else if reaches(self.floor) {
            "floor met"
        } else {
            "BELOW FLOOR"
        }
    }
}

/// `OTHER` stands for the contender that is compared with.
const THROUGHPUT: &str = "throughput, of OTHER";
const P99: &str = "p99, of OTHER";

const BARS: [Bar; 11] = [
    Bar {
        contender: MEMORY,
        against: LIMIT,
        what: THROUGHPUT,
        figure: |own, limit| own.ratio(limit, throughput),
        connections: &[64],
        floor: 0.65,
        aim: 0.80,
    },
    Bar {
        contender: MEMORY,
        against: LIMIT,
        what: THROUGHPUT,
        figure: |own, limit| own.ratio(limit, throughput),
        connections: &[256],
        floor: 0.70,
        aim: 0.85,
    },
    Bar {
        contender: SQLITE,
        against: LIMIT,
        what: THROUGHPUT,
        figure: |own, limit| own.ratio(limit, throughput),
        connections: &[64],
        floor: 0.33,
        aim: 0.45,
    },
    Bar {
        contender: SQLITE,
        against: LIMIT,
        what: THROUGHPUT,
        figure: |own, limit| own.ratio(limit, throughput),
        connections: &[256],
        floor: 0.45,
        aim: 0.60,
    },
    Bar {
        contender: SQLITE,
        against: LIMIT,
        what: P99,
        figure: |own, limit| own.ratio(limit, p99),
        connections: &[256],
        floor: 2.5,
        aim: 1.5,
    },
    Bar {
        contender: SQLITE,
        against: LIMIT,
        what: "server CPU, us a request",
        figure: |own, _| own.median(server_cpu),
        connections: &[64, 256],
        floor: 25.0,
        aim: 18.0,
    },
    Bar {
        contender: SQLITE,
        against: LIMIT,
        what: "memory at the end, MB",
        figure: |own, _| megabytes(own.memory.resident),
        connections: &[64, 256],
        floor: 100.0,
        aim: 60.0,
    },
    Bar {
        contender: POSTGRES,
        against: SINGLE,
        what: THROUGHPUT,
        figure: |own, single| own.ratio(single, throughput),
        connections: &[64, 256],
        floor: 2.5,
        aim: 3.0,
    },
    Bar {
        contender: POSTGRES,
        against: SINGLE,
        what: P99,
        figure: |own, single| own.ratio(single, p99),
        connections: &[64, 256],
        floor: 0.5,
        aim: 0.4,
    },
    Bar {
        contender: SQLITE,
        against: BEFORE,
        what: THROUGHPUT,
        figure: |own, before| own.ratio(before, throughput),
        connections: &[64, 256],
        floor: 0.97,
        aim: 1.0,
    },
    Bar {
        contender: SQLITE,
        against: BEFORE,
        what: "server CPU a request, of OTHER",
        figure: |own, before| own.ratio(before, server_cpu),
        connections: &[64, 256],
        floor: 1.03,
        aim: 1.0,
    },
];

/// Answers a second.
fn throughput(window: &Window) -> f64 {
    requests(window) / window.outcome.seconds
}

/// In milliseconds.
fn p50(window: &Window) -> f64 {
    milliseconds(window.outcome.p50_us)
}

/// In milliseconds.
fn p99(window: &Window) -> f64 {
    milliseconds(window.outcome.p99_us)
}

/// The longest latency, in milliseconds.
fn longest(window: &Window) -> f64 {
    milliseconds(window.outcome.max_us)
}

/// The server's CPU time in microseconds a request.
fn server_cpu(window: &Window) -> f64 {
    window.server_cpu.as_secs_f64() * 1e6 / requests(window)
}

/// The load's CPU time in microseconds a request.
fn load_cpu(window: &Window) -> f64 {
    window.load_cpu.as_secs_f64() * 1e6 / requests(window)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn requests(window: &Window) -> f64 {
    window.outcome.requests as f64
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn milliseconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1e3
}
