//! The process towards who runs it: when it is ready, what its signals do, and
//! that nobody who reads its log is waited for.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use super::serve::{Service, admit, next_line};
use crate::support::client::{Call, TRANSFER};
use crate::support::process::{ended_within, kootask, send_signal};

/// How long the end may take where nothing holds it up; a machine under load
/// included.
const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn sighup_reloads_the_user_directory_and_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.csv");
    std::fs::write(&file, "user_id,name\nu1,One\n").unwrap();
    let mut service =
        Service::start(|command| admit(command, "t").env("KOOTASK__DIRECTORY__FILE", &file));
    for _ in 0..3 {
        // Unchanged, it is not read again for another reason.
        send_signal(&service.child, "HUP");
        let loaded = service.line(|line| line["message"] == "user directory loaded");
        assert_eq!(loaded["users"], 1);
        assert_eq!(loaded["file"], file.to_str().unwrap());
    }
    let call = Call::create(service.address, TRANSFER).bearer("t");
    call.send().await.task_id();
    assert_eq!(service.end("TERM").0, Some(0));
}

#[tokio::test]
async fn a_damaged_user_directory_is_refused_with_a_warning_and_the_names_stay() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.csv");
    std::fs::write(&file, "user_id,name\nu1,One\n").unwrap();
    let mut service =
        Service::start(|command| admit(command, "t").env("KOOTASK__DIRECTORY__FILE", &file));
    std::fs::write(&file, "user_id,name\nu1,\"One\nu2,Two\n").unwrap();
    send_signal(&service.child, "HUP");
    let refused = service.line(|line| line["level"] == "WARN");
    assert_eq!(
        refused["error"],
        "line 2: a quotation mark is not closed on its line"
    );
    assert!(!refused.to_string().contains("One"), "{refused}");
}

#[test]
fn a_user_directory_of_bad_rows_is_warned_of_some_times_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.csv");
    let rows = "no id,Name\n".repeat(1000);
    std::fs::write(&file, format!("user_id,name\nu1,One\n{rows}")).unwrap();
    let service =
        Service::start(|command| admit(command, "t").env("KOOTASK__DIRECTORY__FILE", &file));
    let warnings = service.said.iter().filter(|line| line["level"] == "WARN");
    let lines: Vec<_> = warnings.map(|line| line["line"].as_u64()).collect();
    let named = (3..13).map(Some).chain([None]).collect::<Vec<_>>();
    assert_eq!(lines, named, "{:?}", service.said);
    let loaded = |line: &&serde_json::Value| line["message"] == "user directory loaded";
    let loaded = service.said.iter().find(loaded).unwrap();
    assert_eq!(
        (&loaded["users"], &loaded["left_out"]),
        (&1.into(), &1000.into())
    );
}

/// The lines on standard output that tell that a service is ready.
fn ready_lines(arguments: &[&str]) -> Vec<serde_json::Value> {
    let mut command = kootask();
    admit(&mut command, "t")
        .args(arguments)
        .env("KOOTASK__SERVER__LISTEN", "127.0.0.1:0")
        .env("KOOTASK__STORE__URL", "memory:")
        .env("RUST_LOG", "off")
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut log = BufReader::new(child.stdout.take().unwrap());
    let first = next_line(&mut log).expect("a line");
    send_signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let rest = log.lines().map(Result::unwrap);
    std::iter::once(first)
        .chain(rest.map(|line| serde_json::from_str(&line).unwrap()))
        .collect()
}

#[test]
fn one_line_says_that_it_is_ready_and_where_whatever_is_logged() {
    for arguments in [&["serve"][..], &["dev"]] {
        let lines = ready_lines(arguments);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0]["message"], "ready");
        let address: std::net::SocketAddr = lines[0]["address"].as_str().unwrap().parse().unwrap();
        assert_ne!(address.port(), 0);
    }
}

#[tokio::test]
async fn a_full_standard_output_does_not_hold_the_exit_up() {
    let mut service = Service::start(|command| admit(command, "t"));
    // More than a pipe takes, and nobody reads it any more.
    let path = format!("/{}", "x".repeat(8 * 1024));
    for _ in 0..64 {
        let call = Call::new(service.address, "GET", &path);
        assert_eq!(call.send().await.status, 404);
    }
    send_signal(&service.child, "TERM");
    let status = ended_within(&mut service.child, LIMIT).await;
    assert_eq!(status.code(), Some(0));
    let mut line = String::new();
    service.log.read_line(&mut line).unwrap();
    assert!(line.contains("\"truncated\":true"), "{line}");
}
