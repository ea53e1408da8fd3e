//! `kootask dev`, and its banner.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};

use super::{outcome, pasted};
use crate::support::client::{Call, TRANSFER};
use crate::support::process::{TestProcess, kootask};

/// A running stand-in and the text it greets with; killed when dropped.
pub(super) struct Greeting {
    child: Child,
    /// Held open: a program whose messages nobody can read may end.
    _stderr: BufReader<ChildStderr>,
    pub(super) text: String,
}

impl Greeting {
    pub(super) fn of(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut text = String::new();
        // The last line of the second request to paste.
        while !text.contains("    POST http") || !text.ends_with('\n') {
            assert_ne!(stderr.read_line(&mut text).unwrap(), 0, "it ended: {text}");
        }
        Self {
            child,
            _stderr: stderr,
            text,
        }
    }

    fn on(listen: &str) -> Self {
        let mut command = kootask();
        command.args(["dev", "--listen", listen]);
        Self::of(command)
    }

    /// The commands to paste: indented, and continued by backslashes.
    pub(super) fn commands(&self) -> Vec<String> {
        let mut commands = Vec::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.find(|line| line.starts_with("  ")) {
            let mut command = line.to_owned();
            while command.ends_with('\\') {
                command.push('\n');
                command.push_str(lines.next().unwrap());
            }
            commands.push(command);
        }
        commands
    }
}

impl Drop for Greeting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_requests_of_the_banner_work_as_pasted() {
    let greeting = Greeting::on("127.0.0.1:0");
    let commands = greeting.commands();
    assert_eq!(commands.len(), 2, "{}", greeting.text);
    for command in commands {
        let Some(outcome) = pasted(&command) else {
            continue;
        };
        assert_eq!(outcome.code, Some(0), "{command}: {outcome:?}");
        assert!(
            outcome.out.contains("\"taskId\":\""),
            "{command}: {outcome:?}"
        );
    }
}

#[test]
fn only_an_address_that_is_not_loopback_is_warned_of() {
    let loopback = Greeting::on("127.0.0.1:0");
    assert!(!loopback.text.contains("WARNING"), "{}", loopback.text);
    assert!(
        loopback
            .text
            .contains("store memory:, auth.mode accept-any"),
        "{}",
        loopback.text
    );
    let everywhere = Greeting::on("0.0.0.0:0");
    assert!(everywhere.text.contains("WARNING"), "{}", everywhere.text);
}

#[tokio::test]
async fn it_is_what_runs_without_a_command_and_takes_anybody() {
    let mut command = kootask();
    command.env("KOOTASK__SERVER__LISTEN", "127.0.0.1:0");
    let process = TestProcess::start(command);
    process.create(TRANSFER).send().await.task_id();
    process
        .create(TRANSFER)
        .bearer("anything")
        .send()
        .await
        .task_id();
}

#[tokio::test]
async fn its_arguments_win_over_the_environment_and_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kootask.toml");
    std::fs::write(&file, "[server]\nlisten = '192.0.2.1:1'\nbody_limit = 8\n").unwrap();
    let database = folder.path().join("tasks.db");
    let mut command = kootask();
    command
        .args(["dev", "--listen", "127.0.0.1:0", "--config"])
        .arg(&file)
        .args(["--store", &format!("sqlite://{}", database.display())])
        .env("KOOTASK__SERVER__LISTEN", "192.0.2.2:2")
        .env("KOOTASK__STORE__URL", "memory:");
    let process = TestProcess::start(command);
    assert!(database.exists());
    assert_eq!(
        process.create(TRANSFER).send().await.status,
        413,
        "of the file"
    );
}

#[tokio::test]
async fn it_can_be_told_to_verify() {
    let mut command = kootask();
    command
        .args(["dev", "--listen", "127.0.0.1:0"])
        .env("KOOTASK__AUTH__MODE", "verify");
    let process = TestProcess::start(command);
    let call = Call::create(process.address, TRANSFER);
    assert_eq!(call.clone().send().await.status, 401);
    call.signed("kootask-dev", "kootask-dev-secret")
        .send()
        .await
        .task_id();
}

#[test]
fn a_wrong_configuration_ends_it_with_1() {
    let outcome = outcome(
        kootask()
            .arg("dev")
            .env("KOOTASK__SERVER__LISTEN", "nowhere"),
    );
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.err.contains("server.listen"), "{}", outcome.err);
}

#[test]
fn a_signal_ends_it_with_0() {
    let process = TestProcess::dev("memory:");
    process.signal("TERM");
    let (status, _) = process.wait();
    assert_eq!(status.code(), Some(0));
}
