//! The command line.

mod credentials;
mod dev;
mod help;
mod jwks;
mod migrate;
mod postgres;
mod reload;
pub(crate) mod serve;
mod sign;
mod sign_curl;
mod sign_explain;
mod signals;

use std::process::{Command, Stdio};

use crate::support::command::command;
use crate::support::process::kootask;

/// What a command ended with.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a command to its end.
pub(crate) fn outcome(command: &mut Command) -> Outcome {
    let output = command.output().unwrap();
    Outcome {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// `kootask` with these arguments, run to its end.
fn run(arguments: &[&str]) -> Outcome {
    outcome(kootask().args(arguments))
}

/// What a shell makes of pasted text; `None` if it needs curl and there is none.
pub(crate) fn pasted(text: &str) -> Option<Outcome> {
    let curl = command("curl")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if text.contains("curl ") && curl.is_err() {
        eprintln!("skipped: there is no curl");
        return None;
    }
    let mut shell = command("sh");
    Some(outcome(
        shell
            .args(["-c", text])
            .env("NO_PROXY", "*")
            .stdin(Stdio::null()),
    ))
}
