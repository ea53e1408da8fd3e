//! The processes of a run: servers that are ended whatever happens, the load,
//! and what `/proc` says about both.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::command::command;
use crate::load::{self, Outcome, Plan};

/// How long a server may take to accept connections.
const START_LIMIT: Duration = Duration::from_secs(10);
/// How long a server may take to end once it was asked to.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(10);
/// How often it is tried whether a server accepts connections.
const START_POLL: Duration = Duration::from_millis(1);
/// The tick of the times in `/proc/PID/stat`. User space sees 100 a second on
/// every architecture that Linux is built for today.
const TICK: Duration = Duration::from_millis(10);

/// A child that does not outlive its handle.
struct Guarded(Child);

impl Guarded {
    /// Asks the child to end, and waits until it has. True if it took the hint.
    fn end(&mut self) -> io::Result<bool> {
        if self.0.try_wait()?.is_some() {
            return Ok(true);
        }
        // Not `Child::kill`, which would not let it end cleanly. The id is still
        // the child's, for it has not been waited for.
        command("kill")
            .args(["-TERM", &self.0.id().to_string()])
            .status()?;
        let asked = Instant::now();
        while asked.elapsed() < STOP_LIMIT {
            if self.0.try_wait()?.is_some() {
                return Ok(true);
            }
            thread::sleep(POLL);
        }
        self.0.kill()?;
        self.0.wait()?;
        Ok(false)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("could not end process {}: {error}", self.0.id());
        }
    }
}

/// A server that accepts connections.
pub(crate) struct Server {
    child: Guarded,
    pub(crate) address: SocketAddr,
    log: PathBuf,
}

impl Server {
    /// Starts the server on a free port, its stdout and stderr going to the file
    /// `log`, and waits until it accepts connections.
    pub(crate) fn start(
        log: &Path,
        command: impl FnOnce(SocketAddr) -> io::Result<Command>,
    ) -> Result<Self, Box<dyn Error>> {
        let address = free_address()?;
        let output = File::create(log)?;
        let child = command(address)?
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        let mut server = Self {
            child: Guarded(child),
            address,
            log: log.to_owned(),
        };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            server.check()?;
            if started.elapsed() > START_LIMIT {
                return Err(server.complaint(&format!(
                    "does not accept connections after {START_LIMIT:?}"
                )));
            }
            thread::sleep(START_POLL);
        }
        server.check()?;
        Ok(server)
    }

    /// Fails if the server has ended by itself.
    pub(crate) fn check(&mut self) -> Result<(), Box<dyn Error>> {
        match self.child.0.try_wait()? {
            None => Ok(()),
            Some(status) => Err(self.complaint(&format!("has ended, with {status}"))),
        }
    }

    /// Ends the server; it fails if it had to be killed.
    pub(crate) fn stop(mut self) -> Result<(), Box<dyn Error>> {
        if self.child.end()? {
            Ok(())
        } else {
            Err(self.complaint(&format!("did not end within {STOP_LIMIT:?} of SIGTERM")))
        }
    }

    /// The server's memory as it is now.
    pub(crate) fn memory(&self) -> Result<Memory, Box<dyn Error>> {
        Memory::of(self.child.0.id())
    }

    /// What is wrong, with the end of the server's output.
    fn complaint(&self, what: &str) -> Box<dyn Error> {
        let output = fs::read(&self.log).unwrap_or_default();
        let end = &output[output.len().saturating_sub(4096)..];
        format!(
            "the server of {} {what}; its output ends:\n{}",
            self.log.display(),
            String::from_utf8_lossy(end)
        )
        .into()
    }
}

/// A loopback address with a port that was free a moment ago.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// One measured window: what the load saw, and what the window cost.
pub(crate) struct Window {
    pub(crate) outcome: Outcome,
    /// CPU time of the server.
    pub(crate) server_cpu: Duration,
    /// CPU time of the load: what it took from the server.
    pub(crate) load_cpu: Duration,
}

/// Runs the load against the server, and samples both processes at the moments
/// where the measured window starts and ends.
pub(crate) fn measure(server: &mut Server, plan: &Plan) -> Result<Window, Box<dyn Error>> {
    let mut load = Guarded(plan.command()?.spawn()?);
    let watched = watch(&mut load.0, server.child.0.id());
    // A server that died is the better explanation of a load that failed.
    server.check()?;
    let window = watched?;
    let status = load.0.wait()?;
    if !status.success() {
        return Err(format!("the load failed, with {status}").into());
    }
    if window.outcome.errors > 0 {
        return Err(format!(
            "{} of the answers were errors, the first of them:\n{}",
            window.outcome.errors,
            window.outcome.first_error.unwrap_or_default()
        )
        .into());
    }
    if window.outcome.requests == 0 {
        return Err("not one answer came within the measured window".into());
    }
    Ok(window)
}

/// Follows the load through its run.
fn watch(load: &mut Child, server: u32) -> Result<Window, Box<dyn Error>> {
    let stdout = load.stdout.take().ok_or("the load's stdout is piped")?;
    let mut lines = BufReader::new(stdout).lines();
    let mut next_line = || match lines.next() {
        Some(line) => line.map_err(Box::<dyn Error>::from),
        None => Err("the load ended early; its reason is above".into()),
    };

    expect_line(&next_line()?, load::STARTED)?;
    let before = (cpu(server)?, cpu(load.id())?);
    expect_line(&next_line()?, load::ENDED)?;
    let after = (cpu(server)?, cpu(load.id())?);
    Ok(Window {
        outcome: serde_json::from_str(&next_line()?)?,
        server_cpu: after.0.saturating_sub(before.0),
        load_cpu: after.1.saturating_sub(before.1),
    })
}

/// Fails unless the line is the one that is due.
fn expect_line(line: &str, due: &str) -> Result<(), String> {
    if line == due {
        Ok(())
    } else {
        Err(format!("the load said {line:?} where {due:?} was due"))
    }
}

/// The CPU time that a process has used, in user and kernel mode.
///
/// From `stat`, not from the finer `task/*/schedstat`: only `stat` keeps what
/// threads used that have ended since. The kernel scales its two times to add
/// up to the exact run time, so all that is lost is what it cuts off each of
/// them in print: two ticks at most, however long the window.
fn cpu(process: u32) -> Result<Duration, Box<dyn Error>> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The second field, the name in brackets, may itself hold blanks.
    let (_, fields) = stat.rsplit_once(')').ok_or("a stat line with a name")?;
    let mut times = fields.split_ascii_whitespace().skip(11);
    let mut ticks = || -> Result<u32, Box<dyn Error>> {
        Ok(times.next().ok_or("a stat line with times")?.parse()?)
    };
    Ok(TICK * (ticks()? + ticks()?))
}

/// The physical memory of a process, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    /// Now.
    pub(crate) resident: u64,
    /// At its highest.
    pub(crate) peak: u64,
}

impl Memory {
    fn of(process: u32) -> Result<Self, Box<dyn Error>> {
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let bytes = |name: &str| -> Result<u64, Box<dyn Error>> {
            let kilobytes = status
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_suffix("kB"))
                .ok_or_else(|| format!("no {name} in the process's status"))?;
            Ok(kilobytes.trim().parse::<u64>()? * 1024)
        };
        Ok(Self {
            resident: bytes("VmRSS:")?,
            peak: bytes("VmHWM:")?,
        })
    }
}
