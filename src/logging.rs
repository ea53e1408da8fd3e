//! Log output: readable lines on a terminal, a JSON object a line otherwise.

use std::io::{self, BufWriter, IsTerminal};

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// The most lines that wait to be written. Further ones are dropped: a log that
/// nobody reads must not stop the service, nor fill its memory.
const MOST_WAITING_LINES: usize = 16 * 1024;

/// Starts to log to standard output, `info` and above unless `RUST_LOG` says
/// otherwise. Waiting lines are written when the guard is dropped.
#[must_use]
pub fn start() -> WorkerGuard {
    let stdout = io::stdout();
    let is_terminal = stdout.is_terminal();
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(MOST_WAITING_LINES)
        .thread_name("log-writer")
        .finish(BufWriter::with_capacity(64 * 1024, stdout));
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .from_env_lossy();
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    if is_terminal {
        subscriber.init();
    } else {
        subscriber.json().flatten_event(true).init();
    }
    guard
}
