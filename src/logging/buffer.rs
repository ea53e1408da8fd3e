//! Lines gather in memory and are written together.

use std::convert::Infallible;
use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How long the first line of a batch waits for others.
const LINGER: Duration = Duration::from_millis(10);
/// The most bytes that wait. Lines beyond are dropped and counted: a log that
/// nobody reads must not stop the service, nor fill its memory.
const CAPACITY: usize = 4 * 1024 * 1024;
/// How long the exit waits for the last lines to be taken.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Where log lines are written to. Cheap to clone.
#[derive(Clone)]
pub(super) struct LogBuffer {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    /// Since the last note in the log.
    dropped: u64,
    dropped_in_all: u64,
    closed: bool,
    /// The writing thread sleeps until there is something.
    asleep: bool,
}

/// Writes the waiting lines when dropped; what an output that hangs does not take
/// within [`LAST_LINES`] is given up.
pub struct LogGuard {
    shared: Arc<Shared>,
    /// Disconnected when the writing thread ends, however it ends.
    ended: Receiver<Infallible>,
}

impl LogBuffer {
    /// A buffer that a thread of its own writes to `output`.
    pub(super) fn start(output: impl Write + Send + 'static) -> io::Result<(Self, LogGuard)> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            filled: Condvar::new(),
        });
        let writing = Arc::clone(&shared);
        let (running, ended) = mpsc::channel();
        std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || {
                writing.write_all(output);
                drop(running);
            })?;
        let guard = LogGuard {
            shared: Arc::clone(&shared),
            ended,
        };
        Ok((Self { shared }, guard))
    }
}

impl LogGuard {
    /// Tells how many lines were dropped since the start.
    pub fn dropped(&self) -> impl Fn() -> u64 + Send + Sync + 'static {
        let shared = Arc::clone(&self.shared);
        move || shared.state().dropped_in_all
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, line: &[u8]) {
        let mut state = self.state();
        if state.lines.len().saturating_add(line.len()) > CAPACITY {
            state.dropped = state.dropped.saturating_add(1);
            state.dropped_in_all = state.dropped_in_all.saturating_add(1);
            return;
        }
        state.lines.extend_from_slice(line);
        if std::mem::take(&mut state.asleep) {
            self.filled.notify_one();
        }
    }

    fn close(&self) {
        self.state().closed = true;
        self.filled.notify_one();
    }

    /// Writes what gathers until the buffer is closed and empty.
    fn write_all(&self, mut output: impl Write) {
        let mut lines = Vec::new();
        let mut closed = false;
        while !closed {
            let mut state = self.state();
            if state.lines.is_empty() && !state.closed {
                state.asleep = true;
                let waited = self
                    .filled
                    .wait_while(state, |state| state.asleep && !state.closed);
                state = waited.unwrap_or_else(PoisonError::into_inner);
            }
            if !state.closed {
                let waited = self
                    .filled
                    .wait_timeout_while(state, LINGER, |state| !state.closed);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            closed = state.closed;
            std::mem::swap(&mut lines, &mut state.lines);
            let dropped = std::mem::take(&mut state.dropped);
            drop(state);
            if dropped > 0 {
                let note = format!(
                    "{{\"level\":\"WARN\",\"message\":\"log lines dropped\",\"lines\":{dropped}}}\n"
                );
                lines.extend_from_slice(note.as_bytes());
            }
            // Nobody is left to be told when the log itself cannot be written.
            let _ = output.write_all(&lines).and_then(|()| output.flush());
            lines.clear();
        }
    }
}

impl<'a> MakeWriter<'a> for LogBuffer {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter(&self.shared)
    }
}

/// Takes a whole line with each write, as the subscriber makes them.
pub(super) struct LineWriter<'a>(&'a Shared);

impl Write for LineWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.append(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.shared.close();
        // Nobody is left to be told that it did not end.
        let _ = self.ended.recv_timeout(LAST_LINES);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// An output that the test reads, and that can be held up.
    #[derive(Clone, Default)]
    struct Output(Arc<Mutex<Vec<u8>>>);

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_written_once_and_whole_when_the_guard_is_dropped() {
        let output = Output::default();
        let (buffer, guard) = LogBuffer::start(output.clone()).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let buffer = &buffer;
                scope.spawn(move || {
                    for line in 0..500 {
                        let text = format!("{thread} {line}\n");
                        buffer.make_writer().write_all(text.as_bytes()).unwrap();
                    }
                });
            }
        });
        drop(guard);
        let written = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
        let mut lines: Vec<_> = written.lines().collect();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), 2_000);
    }

    #[test]
    fn what_an_output_that_hangs_does_not_take_is_dropped_and_counted() {
        let output = Output::default();
        let held = output.0.lock().unwrap();
        let (buffer, guard) = LogBuffer::start(output.clone()).unwrap();
        let line = [b'x'; 1024];
        for _ in 0..3 * CAPACITY / line.len() {
            buffer.make_writer().write_all(&line).unwrap();
        }
        assert!(buffer.shared.state().lines.len() <= CAPACITY);
        drop(held);
        drop(guard);
        let written = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
        assert!(written.contains("log lines dropped"));
    }

    #[test]
    fn an_output_that_hangs_does_not_hold_the_end_up() {
        let output = Output::default();
        let held = output.0.lock().unwrap();
        let (buffer, guard) = LogBuffer::start(output.clone()).unwrap();
        buffer.make_writer().write_all(b"a line\n").unwrap();
        let end = std::thread::spawn(move || drop(guard));
        let asked = Instant::now();
        while !end.is_finished() {
            assert!(asked.elapsed() < LAST_LINES * 20, "it waits for the output");
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(held);
    }
}
