//! How the tests and the benchmarks start other programs.

use std::ffi::OsStr;
use std::process::Command;

/// All that a program is told of the caller's environment: where programs are,
/// and where temporary files go.
const KEPT: [&str; 2] = ["PATH", "TMPDIR"];

/// A program with an environment and a working directory that are not the
/// caller's: what is exported in a shell changes no outcome, and what a default
/// writes does not land in the checkout.
#[allow(
    clippy::disallowed_methods,
    reason = "this is what is to be called instead"
)]
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let kept = KEPT.map(|name| (name, std::env::var_os(name)));
    let kept = kept
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(kept)
        .current_dir(env!("CARGO_TARGET_TMPDIR"));
    command
}
