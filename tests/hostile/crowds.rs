//! Connections in large numbers.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rlimit::Resource;
use tokio::task::JoinSet;

use super::{assert_serves_others, serve_with};
use crate::support::command::command;
use crate::support::process::TestProcess;
use crate::support::until;
use crate::support::wire::{Wire, transfer_from};

/// The memory that a crowd may cost, in KiB.
const MOST_MEMORY: u64 = 300 * 1024;

/// As many connections as are wanted, or as this machine lets a process have
/// with some to spare.
fn at_most(wanted: usize) -> usize {
    let files = rlimit::increase_nofile_limit(wanted as u64 + 1000).unwrap();
    let (_, hard) = Resource::NOFILE.get().unwrap();
    let spare = usize::try_from(files.min(hard))
        .unwrap()
        .saturating_sub(1000);
    if spare < wanted {
        eprintln!("shown with {spare} connections: this process may not have more");
    }
    wanted.min(spare)
}

/// An address of this machine's own.
fn client(number: usize) -> IpAddr {
    IpAddr::from([127, 0, 1, u8::try_from(number).unwrap()])
}

/// This many connections, a few at a time, from four addresses in turn.
async fn connect_all(address: SocketAddr, count: usize) -> Vec<Wire> {
    let mut wires = Vec::with_capacity(count);
    while wires.len() < count {
        let wave: JoinSet<Wire> = (0..(count - wires.len()).min(100))
            .map(|number| Wire::connect_from(client(number % 4), address))
            .collect();
        wires.extend(wave.join_all().await);
    }
    wires
}

#[tokio::test]
async fn ten_thousand_idle_connections_cost_little_and_hinder_nobody() {
    let process = TestProcess::dev("memory:");
    let count = at_most(10_000);
    let before = process.open_files();
    let mut wires = connect_all(process.address, count).await;
    assert_serves_others(&process).await;
    until("all to be open", async || {
        process.open_files() >= before + count
    })
    .await;
    // Each is a good one.
    for wire in wires.iter_mut().step_by(count / 50) {
        wire.create("", &transfer_from("source"))
            .await
            .unwrap()
            .task_id();
    }
    assert_serves_others(&process).await;
    let resident = process.resident_kib();
    assert!(resident < MOST_MEMORY, "{resident} KiB");
}

/// A connection for which the backlog has no room waits a second to try again.
#[tokio::test]
async fn a_burst_of_connections_is_taken_without_delay() {
    let process = TestProcess::dev("memory:");
    let begun = Instant::now();
    let burst: JoinSet<Wire> = (0..at_most(1_000))
        .map(|_| Wire::connect(process.address))
        .collect();
    let wires = burst.join_all().await;
    assert!(
        begun.elapsed() < Duration::from_millis(950),
        "took {:?}",
        begun.elapsed()
    );
    assert_serves_others(&process).await;
    drop(wires);
}

#[tokio::test]
async fn two_thousand_bodies_that_stop_midway_hinder_nobody() {
    let process = serve_with("request_timeout = \"3s\"");
    let count = at_most(2_000);
    let mut wires = JoinSet::new();
    for mut wire in connect_all(process.address, count).await {
        wires.spawn(async move {
            wire.begin_create("", 16_000).await;
            wire.send(" ".repeat(8_000)).await.unwrap();
            wire
        });
    }
    let wires = wires.join_all().await;
    assert_serves_others(&process).await;
    let resident = process.resident_kib();
    assert!(resident < MOST_MEMORY, "{resident} KiB");
    let answers: JoinSet<u16> = wires
        .into_iter()
        .map(|mut wire| async move { wire.reply().await.status })
        .collect();
    for status in answers.join_all().await {
        assert_eq!(status, 408);
    }
    assert_serves_others(&process).await;
}

/// Whether a body belongs to anybody is known when it is whole: its signature
/// covers it.
#[tokio::test]
async fn of_bodies_that_nobody_has_signed_no_more_than_a_bound_is_held() {
    /// More than 32 MiB.
    const COUNT: usize = 2_400;
    const LENGTH: usize = 15_000;
    let process = serve_with("request_timeout = \"15s\"");
    if at_most(COUNT) < COUNT {
        return;
    }
    let signature = "0".repeat(64);
    let lines = format!(
        "Authorization: HMAC-SHA256 AppId=kootask-dev,\
         SignedHeaders=host;x-date;x-user-id,Signature={signature}\r\n"
    );
    let mut answers = JoinSet::new();
    for _ in 0..COUNT {
        let mut wire = Wire::connect_from(client(1), process.address).await;
        wire.begin_create(&lines, LENGTH + 1).await;
        wire.send(" ".repeat(LENGTH)).await.unwrap();
        answers.spawn(async move { wire.reply().await.status });
    }
    assert_serves_others(&process).await;
    let resident = process.resident_kib();
    assert!(resident < MOST_MEMORY, "{resident} KiB");
    let statuses = answers.join_all().await;
    let with = |status| statuses.iter().filter(|one| **one == status).count();
    let (late, refused) = (with(408), with(503));
    assert_eq!(late + refused, COUNT);
    assert!(late * LENGTH <= 32 << 20, "{late} bodies were held");
    assert!(refused < COUNT / 2, "{refused} were refused");
}

/// Connections from this address until one is refused; each has made a request.
async fn served_until_refused(process: &TestProcess, local: IpAddr) -> Vec<Wire> {
    let mut served = Vec::new();
    loop {
        let mut wire = Wire::connect_from(local, process.address).await;
        let reply = wire.create("", &transfer_from("source")).await;
        let reply = reply.expect("answered or refused, not cut off");
        if reply.status != 200 {
            reply.assert_unavailable();
            assert!(reply.head.contains("\r\nconnection: close"), "{reply:?}");
            assert!(wire.ends_in_order().await, "reset");
            return served;
        }
        served.push(wire);
    }
}

#[tokio::test]
async fn one_address_has_half_of_the_places_and_who_is_too_many_is_told_503() {
    // The service may have as many connections as files, less a reserve.
    let mut command = command("sh");
    let script = "ulimit -n 288; exec \"$0\" \"$@\"";
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_kootask")])
        .args(["dev", "--listen", "127.0.0.1:0"]);
    let process = TestProcess::start(command);
    let of_one = served_until_refused(&process, client(1)).await;
    assert_eq!(of_one.len(), 64);
    // The last places are for those who have few.
    let of_other = served_until_refused(&process, client(2)).await;
    assert_eq!(of_other.len(), 56);
    for number in 3..=10 {
        let mut wire = Wire::connect_from(client(number), process.address).await;
        wire.create("", &transfer_from("source"))
            .await
            .unwrap()
            .task_id();
    }
    for mut wire in of_one {
        wire.create("", &transfer_from("source"))
            .await
            .unwrap()
            .task_id();
    }
    // Those who leave make room.
    until("room", async || {
        let mut wire = Wire::connect_from(client(2), process.address).await;
        let reply = wire.create("", &transfer_from("source")).await;
        reply.is_some_and(|reply| reply.status == 200)
    })
    .await;
}
