//! Log output: readable lines on a terminal, a JSON object a line otherwise.
//!
//! Every request writes a line, so a line must cost next to nothing. The
//! library's JSON format and its writer thread, fed line by line over a channel,
//! together cost as much as the rest of a request; hence [`json`] and
//! [`buffer`].

mod buffer;
mod json;

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use self::buffer::LogBuffer;
pub use self::buffer::LogGuard;
use self::json::{JsonLines, SpanFields};

/// The target of the line that tells that the service is ready. Programs wait for
/// it, so it is written whatever `RUST_LOG` says.
pub const READY: &str = "kootask::ready";

/// Starts to log to standard output: `info` and above, unless `RUST_LOG` says
/// otherwise, as in `RUST_LOG=kootask=debug,warn`.
///
/// # Errors
///
/// When the writing thread cannot be started or `RUST_LOG` makes no sense.
pub fn start() -> Result<LogGuard, Box<dyn std::error::Error>> {
    let levels = match std::env::var("RUST_LOG") {
        Ok(directives) => directives
            .parse()
            .map_err(|error| format!("RUST_LOG={directives}: {error}"))?,
        Err(_) => Targets::new().with_default(LevelFilter::INFO),
    };
    let levels = levels.with_target(READY, LevelFilter::INFO);
    let (buffer, guard) = LogBuffer::start(io::stdout())?;
    let lines = fmt::layer().with_writer(buffer);
    let lines = if io::stdout().is_terminal() {
        lines.boxed()
    } else {
        lines.fmt_fields(SpanFields).event_format(JsonLines).boxed()
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(levels))
        .try_init()?;
    Ok(guard)
}

/// Has what a store waits for written to standard error: for a command whose
/// standard output is its result.
///
/// # Errors
///
/// When the program logs already.
pub fn waits_on_stderr() -> Result<(), Box<dyn std::error::Error>> {
    let lines = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    let waits = Targets::new().with_target("kootask::store::postgres", LevelFilter::WARN);
    tracing_subscriber::registry()
        .with(lines.with_filter(waits))
        .try_init()?;
    Ok(())
}
