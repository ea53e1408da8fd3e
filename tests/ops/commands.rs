//! `healthcheck`, `completions`, `man` and `--version`.

use super::{Watched, serve};
use crate::cli::outcome;
use crate::support::process::kootask;
use crate::support::proxy::ClosedPort;

#[tokio::test]
async fn healthcheck_tells_by_its_exit_code_whether_the_service_is_ready() {
    let closed = ClosedPort::new();
    let nobody = format!("postgres://nobody@127.0.0.1:{}/none", closed.port);
    let mut command = serve();
    command.env("KOOTASK__STORE__URL", nobody);
    let (starting, ready) = (Watched::start(command), Watched::start(serve()));
    ready.readiness("ready").await;
    let check = |service: &Watched, arguments: &[&str]| {
        let address = service.ops.to_string();
        let mut command = kootask();
        command.arg("healthcheck").args(arguments);
        outcome(command.env("KOOTASK__SERVER__OPS_LISTEN", address))
    };
    let is_ready = check(&ready, &[]);
    assert_eq!(is_ready.code, Some(0), "{is_ready:?}");
    assert!(is_ready.out.contains("\"status\":\"ready\""));
    let is_starting = check(&starting, &[]);
    assert_eq!(is_starting.code, Some(1));
    assert!(is_starting.err.contains("\"status\":\"starting\""));
    for service in [&ready, &starting] {
        assert_eq!(check(service, &["--live"]).code, Some(0));
    }
}

#[test]
fn healthcheck_fails_where_nobody_answers_or_can_be_asked() {
    let closed = ClosedPort::new();
    let nobody = format!("127.0.0.1:{}", closed.port);
    for (address, said) in [(&*nobody, "http://127.0.0.1"), ("off", "ops_listen is off")] {
        let mut command = kootask();
        let command = command.arg("healthcheck");
        let outcome = outcome(command.env("KOOTASK__SERVER__OPS_LISTEN", address));
        assert_eq!(outcome.code, Some(1));
        assert!(outcome.err.contains(said), "{}", outcome.err);
    }
}

#[test]
fn completions_and_manual_pages_name_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let outcome = outcome(kootask().args(["completions", shell]));
        assert_eq!(outcome.code, Some(0));
        assert!(outcome.out.contains("healthcheck"), "{shell}");
    }
    for (arguments, said) in [
        (&["man"][..], ".TH kootask 1"),
        (&["man", "serve"], "\\-\\-config"),
        (&["man", "config", "check"], "check"),
    ] {
        let outcome = outcome(kootask().args(arguments));
        assert_eq!(outcome.code, Some(0), "{}", outcome.err);
        assert!(outcome.out.contains(said), "{arguments:?}: {}", outcome.out);
    }
    let unknown = outcome(kootask().args(["man", "none"]));
    assert_eq!(unknown.code, Some(1));
}

#[test]
fn the_version_tells_the_revision() {
    let said = outcome(kootask().arg("--version")).out;
    let (version, revision) = (kootask::ops::VERSION, kootask::ops::REVISION);
    assert_eq!(said, format!("kootask {version} (revision {revision})\n"));
}
