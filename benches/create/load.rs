//! The load: a closed loop over N keep-alive connections, in a process of its
//! own (the bench executable with the hidden subcommand [`SUBCOMMAND`]).
//!
//! It shares the CPUs with the server it measures, and what it uses the server
//! cannot. Hence one thread on plain epoll, one write and one read a request,
//! and buffers that are used again.
//!
//! On stdout it prints [`STARTED`] and [`ENDED`] at the very moments where its
//! measured window starts and ends, so that the parent can sample the server
//! there, and then an [`Outcome`] as one line of JSON.

use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use serde::{Deserialize, Serialize};

use crate::command::command;
use crate::request::{Credential, RequestMaker};

/// The hidden subcommand; [`Plan::command`] gives its arguments.
pub(crate) const SUBCOMMAND: &str = "load";
/// Printed when the measured window starts.
pub(crate) const STARTED: &str = "started";
/// Printed when the measured window ends.
pub(crate) const ENDED: &str = "ended";

/// The longest that no answer at all may come before the load gives up.
const STALL: Duration = Duration::from_secs(10);
/// Room for a response; those of the create call are a third of it.
const RESPONSE_ROOM: usize = 1024;
/// A larger response is not one of the create call.
const RESPONSE_LIMIT: usize = 64 * 1024;

/// One run of the load.
pub(crate) struct Plan {
    /// The server's address, on loopback.
    pub(crate) server: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) credential: Credential,
    /// How long it runs before the measured window.
    pub(crate) warm_up: Duration,
    /// The length of the measured window.
    pub(crate) window: Duration,
}

/// What the measured window came to.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Outcome {
    /// The answers that came within the window.
    pub(crate) requests: u64,
    /// The answers that were not the expected ones, in the whole run.
    pub(crate) errors: u64,
    /// The first of them.
    pub(crate) first_error: Option<String>,
    /// The window's true length.
    pub(crate) seconds: f64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) max_us: u64,
}

impl Plan {
    /// The command that runs this plan in a process of its own.
    pub(crate) fn command(&self) -> std::io::Result<Command> {
        let mut command = command(std::env::current_exe()?);
        command
            .arg(SUBCOMMAND)
            .arg(self.server.to_string())
            .arg(self.connections.to_string())
            .arg(self.credential.name())
            .arg(self.warm_up.as_millis().to_string())
            .arg(self.window.as_millis().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        Ok(command)
    }

    /// The plan that [`Self::command`] wrote down.
    fn from_arguments(arguments: &[String]) -> Result<Self, Box<dyn Error>> {
        let [server, connections, credential, warm_up, window] = arguments else {
            return Err(format!("{SUBCOMMAND} takes 5 arguments").into());
        };
        Ok(Self {
            server: server.parse()?,
            connections: connections.parse()?,
            credential: Credential::named(credential).ok_or("no such credential")?,
            warm_up: Duration::from_millis(warm_up.parse()?),
            window: Duration::from_millis(window.parse()?),
        })
    }
}

/// The load process's main.
pub(crate) fn main(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let plan = Plan::from_arguments(arguments)?;
    if !plan.server.ip().is_loopback() {
        return Err("the load goes to loopback only".into());
    }
    let outcome = Load::connect(&plan)?.run()?;
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

/// Where a run has got to.
#[derive(Clone, Copy)]
enum Phase {
    /// Until the given moment nothing is counted.
    WarmUp { until: Instant },
    /// What is answered now counts.
    Measuring { since: Instant, until: Instant },
    /// Nothing is sent any more. An answer to what was sent in the window still
    /// counts as a latency, else the slowest would be the ones left out.
    Draining { measured: Duration },
}

/// A run of the load.
struct Load {
    poll: Poll,
    connections: Vec<Connection>,
    maker: RequestMaker,
    window: Duration,
    phase: Phase,
    last_answer: Instant,
    in_flight: usize,
    requests: u64,
    errors: u64,
    first_error: Option<String>,
    /// In microseconds.
    latencies: Histogram<u64>,
}

/// A connection, with at most one request under way.
struct Connection {
    stream: TcpStream,
    sent: Instant,
    received: Vec<u8>,
    /// How much of `received` is filled.
    filled: usize,
    /// Whether this connection's first answer has been looked at in full.
    checked: bool,
}

impl Load {
    /// Opens every connection.
    fn connect(plan: &Plan) -> Result<Self, Box<dyn Error>> {
        let poll = Poll::new()?;
        let mut connections = Vec::with_capacity(plan.connections);
        for token in 0..plan.connections {
            let stream =
                std::net::TcpStream::connect_timeout(&plan.server, Duration::from_secs(5))?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry()
                .register(&mut stream, Token(token), Interest::READABLE)?;
            connections.push(Connection {
                stream,
                sent: Instant::now(),
                received: vec![0; RESPONSE_ROOM],
                filled: 0,
                checked: false,
            });
        }
        let now = Instant::now();
        Ok(Self {
            poll,
            connections,
            maker: RequestMaker::new(&plan.server.to_string(), plan.credential),
            window: plan.window,
            phase: Phase::WarmUp {
                until: now + plan.warm_up,
            },
            last_answer: now,
            in_flight: 0,
            requests: 0,
            errors: 0,
            first_error: None,
            latencies: Histogram::new_with_bounds(1, 600_000_000, 3)?,
        })
    }

    /// Sends on every connection, and again after each answer, until the window
    /// has ended and what was under way has been answered.
    fn run(mut self) -> Result<Outcome, Box<dyn Error>> {
        let mut events = Events::with_capacity(self.connections.len());
        for connection in 0..self.connections.len() {
            self.send(connection, Instant::now())?;
        }
        loop {
            let now = Instant::now();
            self.advance(now)?;
            if let Phase::Draining { measured } = self.phase
                && self.in_flight == 0
            {
                return Ok(self.outcome(measured));
            }
            if now > self.last_answer + STALL {
                return Err(format!("no answer for {STALL:?}, with {} due", self.in_flight).into());
            }
            match self.poll.poll(&mut events, Some(self.patience(now))) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in &events {
                let Token(connection) = event.token();
                if self.receive(connection)? {
                    let now = Instant::now();
                    self.answered(connection, now)?;
                    if !matches!(self.phase, Phase::Draining { .. }) {
                        self.send(connection, now)?;
                    }
                }
            }
        }
    }

    /// How long to wait for an answer: no longer than the phase, and never so
    /// long that a stall goes unseen.
    fn patience(&self, now: Instant) -> Duration {
        match self.phase {
            Phase::WarmUp { until } | Phase::Measuring { until, .. } => {
                until.saturating_duration_since(now).min(STALL)
            }
            Phase::Draining { .. } => STALL,
        }
    }

    /// Goes over to the next phase when it is time.
    fn advance(&mut self, now: Instant) -> std::io::Result<()> {
        match self.phase {
            Phase::WarmUp { until } if now >= until => {
                self.phase = Phase::Measuring {
                    since: now,
                    until: now + self.window,
                };
                tell(STARTED)
            }
            Phase::Measuring { since, until } if now >= until => {
                self.phase = Phase::Draining {
                    measured: now - since,
                };
                tell(ENDED)
            }
            _ => Ok(()),
        }
    }

    /// Sends the next request. It goes out in one write: the connection's send
    /// buffer is empty, for the request before has been answered.
    fn send(&mut self, connection: usize, now: Instant) -> Result<(), Box<dyn Error>> {
        let request = self.maker.next(now);
        let connection = &mut self.connections[connection];
        // Anew, so that the signing is not counted as the server's.
        connection.sent = Instant::now();
        let written = connection.stream.write(request)?;
        if written != request.len() {
            return Err("a request did not go out in one write".into());
        }
        self.in_flight += 1;
        Ok(())
    }

    /// Reads what has come; true once the response is complete.
    fn receive(&mut self, connection: usize) -> Result<bool, Box<dyn Error>> {
        let connection = &mut self.connections[connection];
        loop {
            if connection.filled == connection.received.len() {
                if connection.filled >= RESPONSE_LIMIT {
                    return Err("a response beyond all bounds".into());
                }
                connection.received.resize(connection.filled * 2, 0);
            }
            let read = match connection
                .stream
                .read(&mut connection.received[connection.filled..])
            {
                Ok(0) => {
                    let received = &connection.received[..connection.filled];
                    return Err(format!(
                        "the server closed a connection, after {:?}",
                        String::from_utf8_lossy(received)
                    )
                    .into());
                }
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            connection.filled += read;
            let received = &connection.received[..connection.filled];
            let length = response_length(received).map_err(|error| error.to_string())?;
            if let Some(length) = length {
                if received.len() > length {
                    return Err("more than one response to a request".into());
                }
                return Ok(true);
            }
        }
    }

    /// Takes a complete response in.
    fn answered(&mut self, connection: usize, now: Instant) -> Result<(), Box<dyn Error>> {
        self.advance(now)?;
        self.last_answer = now;
        self.in_flight -= 1;

        let connection = &mut self.connections[connection];
        match self.phase {
            Phase::WarmUp { .. } => {}
            Phase::Measuring { .. } => {
                self.requests += 1;
                self.latencies.record(micros(now - connection.sent))?;
            }
            Phase::Draining { .. } => self.latencies.record(micros(now - connection.sent))?,
        }

        let response = &connection.received[..connection.filled];
        connection.filled = 0;
        let good =
            response.starts_with(b"HTTP/1.1 200 ") && (connection.checked || is_created(response));
        connection.checked = true;
        if !good {
            self.errors += 1;
            if self.first_error.is_none() {
                self.first_error = Some(String::from_utf8_lossy(response).into_owned());
            }
        }
        Ok(())
    }

    /// Sums the run up.
    fn outcome(self, measured: Duration) -> Outcome {
        Outcome {
            requests: self.requests,
            errors: self.errors,
            first_error: self.first_error,
            seconds: measured.as_secs_f64(),
            p50_us: self.latencies.value_at_quantile(0.50),
            p99_us: self.latencies.value_at_quantile(0.99),
            max_us: self.latencies.max(),
        }
    }
}

/// A line for the parent, at once.
fn tell(line: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

/// A latency in microseconds, at least one.
fn micros(latency: Duration) -> u64 {
    u64::try_from(latency.as_micros())
        .unwrap_or(u64::MAX)
        .max(1)
}

/// The length of the whole response, once it has come in full.
///
/// Just as much of HTTP as the create call's answers need: a head, and a body
/// whose length the head gives.
pub(crate) fn response_length(
    received: &[u8],
) -> Result<Option<usize>, Box<dyn Error + Send + Sync>> {
    const NAME: &[u8] = b"content-length:";

    let mut content_length = None;
    let mut position = 0;
    for line in received.split_inclusive(|byte| *byte == b'\n') {
        position += line.len();
        if line == b"\r\n" {
            let content_length = content_length.ok_or("a response without Content-Length")?;
            let length = position + content_length;
            return Ok((received.len() >= length).then_some(length));
        }
        if line.len() > NAME.len()
            && line[..NAME.len()].eq_ignore_ascii_case(NAME)
            && line.ends_with(b"\n")
        {
            content_length = Some(
                std::str::from_utf8(&line[NAME.len()..])?
                    .trim()
                    .parse::<usize>()?,
            );
        }
    }
    Ok(None)
}

/// Whether the response's body says that a task was created. Looked at once a
/// connection: it proves that the contenders do the same work, and costs the
/// measured window nothing.
fn is_created(response: &[u8]) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Created {
        task_id: String,
        code: i64,
    }

    let body = response
        .windows(4)
        .position(|end_of_head| end_of_head == b"\r\n\r\n")
        .map(|end| &response[end + 4..]);
    body.and_then(|body| serde_json::from_slice::<Created>(body).ok())
        .is_some_and(|created| {
            created.code == 0
                && !created.task_id.is_empty()
                && created.task_id.bytes().all(|byte| byte.is_ascii_digit())
        })
}
