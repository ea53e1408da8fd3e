//! A kill spares what the kernel has in its caches, a power cut does not: an
//! answer must come after the disk was told to write.

use std::process::Command;

use super::load::create_keyed;
use super::{LIMIT, Place};
use crate::support::command::command;
use crate::support::process::TestProcess;
use crate::support::wire::Wire;

/// `strace` as a bystander, so that the process is still the test's own.
fn strace() -> Command {
    let mut strace = command("strace");
    strace.args(["-D", "-f", "-qq"]);
    strace
}

#[tokio::test]
async fn a_success_is_sent_after_the_task_was_written_to_the_disk() {
    if !strace()
        .arg("true")
        .output()
        .is_ok_and(|probe| probe.status.success())
    {
        eprintln!("not shown here: there is no strace, or it may not trace");
        return;
    }
    let place = Place::new();
    let trace = place.0.path().join("trace");
    let mut command = strace();
    command
        .args([
            "-e",
            "trace=fsync,fdatasync,write,writev,sendto,sendmsg",
            "-o",
        ])
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_kootask"))
        .args(["dev", "--listen", "127.0.0.1:0", "--store", &place.url()]);
    let process = TestProcess::start(command);
    let mut wire = Wire::connect(process.address).await;
    for number in 0..10 {
        create_keyed(&mut wire, &format!("source-{number}"))
            .await
            .unwrap()
            .task_id();
    }
    process.signal("TERM");
    process.ended_within(LIMIT).await;

    let (mut answers, mut is_synced) = (0, false);
    for line in std::fs::read_to_string(trace).unwrap().lines() {
        let is_sync = line.contains("sync(") || line.contains("sync resumed");
        if is_sync && line.ends_with("= 0") {
            is_synced = true;
        } else if line.contains("HTTP/1.1 200") {
            assert!(is_synced, "answer {answers} was sent without: {line}");
            (answers, is_synced) = (answers + 1, false);
        }
    }
    assert_eq!(answers, 10);
}
