//! The program as a process of its own, for what only a process can show:
//! signals, exit codes, `kill -9`.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::client::Call;
use super::command::command;

/// A running `kootask dev`; killed when dropped.
pub struct TestProcess {
    child: Child,
    pub address: SocketAddr,
    stderr: BufReader<ChildStderr>,
}

/// The program, to be given arguments.
pub fn kootask() -> Command {
    let mut command = command(env!("CARGO_BIN_EXE_kootask"));
    // Many run at a time.
    command
        .stdin(Stdio::null())
        .env("KOOTASK__SERVER__OPS_LISTEN", "off");
    command
}

/// Sends a signal by its name, as in `TERM`.
pub fn send_signal(child: &Child, signal: &str) {
    let sent = command("kill")
        .args(["-s", signal, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

/// Waits for the end, which must come by itself within `limit`.
pub async fn ended_within(child: &mut Child, limit: Duration) -> ExitStatus {
    let end = async {
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(limit, end)
        .await
        .expect("the process goes on")
}

impl TestProcess {
    /// `kootask dev` on a port of its own, with this store.
    pub fn dev(store: &str) -> Self {
        let mut command = kootask();
        command.args(["dev", "--listen", "127.0.0.1:0", "--store", store]);
        // A store that is tried is written to by what its test asks alone.
        if store != "memory:" {
            command.args(["--progress", "manual"]);
        }
        Self::start(command)
    }

    /// `kootask dev` with this configuration file.
    pub fn configured(toml: &str) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), toml).unwrap();
        let mut command = kootask();
        command
            .args(["dev", "--listen", "127.0.0.1:0", "--config"])
            .arg(file.path());
        if !toml.contains("[dev]") {
            command.args(["--progress", "manual"]);
        }
        Self::start(command)
    }

    /// A `kootask dev` with these arguments, once it has said where it listens.
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let address = loop {
            let mut line = String::new();
            assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "it ended: {said}");
            said.push_str(&line);
            let url = line.strip_prefix("Listens on ");
            if let Some((_, rest)) = url.and_then(|url| url.split_once("://")) {
                break rest.split(',').next().unwrap().parse().unwrap();
            }
        };
        Self {
            child,
            address,
            stderr,
        }
    }

    pub fn create(&self, body: &str) -> Call {
        Call::create(self.address, body)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal by its name, as in `TERM`.
    pub fn signal(&self, signal: &str) {
        send_signal(&self.child, signal);
    }

    /// The memory in use, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// The number of open files, connections among them.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.id()))
            .unwrap()
            .count()
    }

    /// Waits for the end, which must come by itself within `limit`.
    pub async fn ended_within(mut self, limit: Duration) -> ExitStatus {
        ended_within(&mut self.child, limit).await
    }

    /// Waits for the end; the exit status and what else stood on stderr.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap(), rest)
    }
}

impl Drop for TestProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
