//! SIGTERM and SIGINT: what was accepted is finished, nothing holds the exit up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kootask::app::App;
use kootask::config::{Config, Defaults};
use kootask::server::{Server, Timing};
use kootask::task::clock::SystemClock;
use kootask::worker;
use serde_json::json;
use uuid::Uuid;

use super::ledger::Ledger;
use super::load::{Load, settle};
use super::{LIMIT, Place};
use crate::support::client::TRANSFER;
use crate::support::http2;
use crate::support::process::TestProcess;
use crate::support::until;
use crate::support::wire::{Wire, create_head, create_request, transfer_from};

async fn requests_in_flight_are_answered_after(signal: &str) {
    let place = Place::new();
    let process = place.serve();
    let mut ledger = Ledger::default();
    let mut begun = Vec::new();
    for number in 0..20 {
        let source = format!("in-flight-{number}");
        let body = transfer_from(&source);
        let mut wire = Wire::connect(process.address).await;
        wire.begin_create("", body.len()).await;
        begun.push((wire, source, body));
    }
    let (address, asked) = (process.address, Instant::now());
    process.signal(signal);
    until("new connections to be refused", async || {
        Wire::try_connect(address).await.is_err()
    })
    .await;
    for (wire, source, body) in &mut begun {
        wire.send(body).await.unwrap();
        let reply = wire.reply().await;
        ledger.answered.push((source.clone(), reply.task_id()));
        assert!(reply.head.contains("\r\nconnection: close"), "{reply:?}");
    }
    let status = process.ended_within(LIMIT).await;
    assert_eq!(status.code(), Some(0));
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "nothing was left to wait for"
    );
    assert!(
        !place.0.path().join("kootask.db-wal").exists(),
        "the store was not closed"
    );
    ledger.assert_kept_at(&place.path());
    // And it comes up again.
    Wire::connect(place.serve().address)
        .await
        .create("", &transfer_from("after"))
        .await
        .unwrap()
        .task_id();
}

#[tokio::test]
async fn requests_in_flight_are_answered_after_sigterm() {
    requests_in_flight_are_answered_after("TERM").await;
}

#[tokio::test]
async fn requests_in_flight_are_answered_after_sigint() {
    requests_in_flight_are_answered_after("INT").await;
}

/// Closing a listening socket resets what waits to be accepted: a proxy that has
/// sent its request there by then would answer 502.
#[tokio::test]
async fn a_request_whose_connection_waits_to_be_accepted_is_answered() {
    let config = Config::from_toml("[store]\nurl = 'memory:'", Defaults::Dev).unwrap();
    let app = App::build(&config, Arc::new(SystemClock)).await.unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::bind(app, address, Timing::default()).unwrap();
    let body = transfer_from("waiting");
    let mut wire = Wire::connect(server.address().unwrap()).await;
    wire.send(create_request("", &body)).await.unwrap();
    let asked_to_stop = || std::future::ready(());
    server.run(asked_to_stop(), asked_to_stop()).await.unwrap();
    assert_eq!(wire.reply().await.status, 200);
}

#[tokio::test]
async fn shutdowns_under_load_lose_nothing_that_was_answered() {
    let place = Place::new();
    let mut ledger = Ledger::default();
    for (round, signal) in ["TERM", "INT", "TERM", "INT"].into_iter().enumerate() {
        let process = place.serve();
        settle(process.address, &mut ledger).await;
        let load = Load::start(process.address, 24, &format!("round-{round}"));
        load.answers(200).await;
        process.signal(signal);
        ledger.extend(load.ended().await);
        assert_eq!(process.ended_within(LIMIT).await.code(), Some(0));
        ledger.assert_kept_at(&place.path());
    }
}

#[tokio::test]
async fn idle_connections_do_not_hold_the_exit_up() {
    let place = Place::new();
    let process = place.serve();
    let mut idle = Vec::new();
    for number in 0..20 {
        let mut wire = Wire::connect(process.address).await;
        if number % 2 == 0 {
            wire.create("", &transfer_from("source"))
                .await
                .unwrap()
                .task_id();
        }
        idle.push(wire);
    }
    let asked = Instant::now();
    process.signal("TERM");
    assert_eq!(process.ended_within(LIMIT).await.code(), Some(0));
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "took {:?}",
        asked.elapsed()
    );
    for wire in idle {
        assert_eq!(wire.closed().await, "");
    }
}

/// A worker that waits for a task, as long as one may.
async fn waiting_worker(process: &TestProcess) -> Wire {
    let claim = json!({
        "worker": "w1", "claimId": Uuid::new_v4().to_string(), "waitSeconds": 30,
    });
    let (claim, path) = (claim.to_string(), worker::CLAIM);
    let length = claim.len();
    let mut wire = Wire::connect(process.address).await;
    wire.send(format!(
        "POST {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer a-worker\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{claim}"
    ))
    .await
    .unwrap();
    wire
}

/// At SIGTERM workers that wait get an empty answer, and the process ends at once.
pub async fn assert_waiting_workers_hold_nothing_up(process: TestProcess) {
    let mut workers = Vec::new();
    for _ in 0..20 {
        workers.push(waiting_worker(&process).await);
    }
    let mut created = Vec::new();
    for _ in 0..10 {
        created.push(process.create(TRANSFER).send().await.task_id());
    }
    until("workers that wait to get what was created", async || {
        let mut wire = Wire::connect(process.address).await;
        let path = format!("/koodrive/ose/v1/task/{}", created[9]);
        wire.read(&path)
            .await
            .unwrap()
            .body
            .contains(r#""status":1"#)
    })
    .await;
    let asked = Instant::now();
    process.signal("TERM");
    assert_eq!(process.ended_within(LIMIT).await.code(), Some(0));
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(1), "took {took:?}");
    let mut with_nothing = 0;
    for worker in &mut workers {
        let reply = worker.reply().await;
        assert_eq!(reply.status, 200, "{reply:?}");
        with_nothing += usize::from(reply.body.contains(r#""tasks":[]"#));
    }
    assert_eq!(with_nothing, 10);
}

#[tokio::test]
async fn waiting_workers_do_not_hold_the_exit_up() {
    let place = Place::new();
    assert_waiting_workers_hold_nothing_up(place.serve()).await;
}

#[tokio::test]
async fn a_trickling_client_holds_the_exit_up_no_longer_than_the_grace_period() {
    let place = Place::new();
    let process = TestProcess::configured(&format!(
        "[server]\nshutdown_grace = \"1s\"\n[store]\nurl = \"{}\"",
        place.url()
    ));
    let mut head = Wire::connect(process.address).await;
    let mut body = Wire::connect(process.address).await;
    body.begin_create("", 10_000).await;
    let trickle = tokio::spawn(async move {
        let head_bytes = create_head();
        let mut next = head_bytes.as_bytes().iter().cycle();
        loop {
            let byte = [*next.next().unwrap()];
            let (one, other) = (head.send(byte).await, body.send(b" ").await);
            if one.is_err() && other.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let asked = Instant::now();
    process.signal("TERM");
    assert_eq!(process.ended_within(LIMIT).await.code(), Some(0));
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "took {:?}",
        asked.elapsed()
    );
    tokio::time::timeout(LIMIT, trickle).await.unwrap().unwrap();
    Ledger::default().assert_kept_at(&place.path());
}

#[tokio::test]
async fn what_asks_nothing_does_not_hold_the_exit_up() {
    let place = Place::new();
    let process = place.serve();
    let mut connections = Vec::new();
    for begun in [
        // Nothing but a beginning, of either protocol.
        create_head().into_bytes(),
        b"PRI * HT".to_vec(),
        http2::preface(&[]),
        // An HTTP/2 client that has had its answer, and answers no question itself.
        [http2::preface(&[]), http2::get(1, "/nowhere")].concat(),
    ] {
        let mut wire = Wire::connect(process.address).await;
        wire.send(begun).await.unwrap();
        connections.push(wire);
    }
    let mut second = Wire::connect(process.address).await;
    second.read("/nowhere").await.unwrap();
    second.send(create_head()).await.unwrap();
    let answered = |bytes: &[u8]| http2::frames(bytes).iter().any(|frame| frame.0 == 0);
    connections[3].received(answered).await;
    let asked = Instant::now();
    process.signal("TERM");
    assert_eq!(process.ended_within(LIMIT).await.code(), Some(0));
    assert!(
        asked.elapsed() < Duration::from_secs(4),
        "took {:?}",
        asked.elapsed()
    );
    drop((connections, second));
}

#[tokio::test]
async fn connections_are_accepted_and_told_to_close_for_the_drain_delay() {
    let process = TestProcess::configured("[server]\ndrain_delay = \"1h\"");
    let mut before = Wire::connect(process.address).await;
    before.read("/nowhere").await.unwrap();
    process.signal("TERM");
    until("answers that end their connection", async || {
        let mut wire = Wire::connect(process.address).await;
        let reply = wire.create("", &transfer_from("source")).await.unwrap();
        reply.task_id();
        reply.head.contains("\r\nconnection: close")
    })
    .await;
    // One that was there before is told too, and its request is answered.
    let reply = before.create("", &transfer_from("source")).await.unwrap();
    reply.task_id();
    assert!(reply.head.contains("\r\nconnection: close"), "{reply:?}");
    // The second signal skips the rest.
    process.signal("TERM");
    assert_eq!(process.ended_within(LIMIT).await.code(), Some(0));
}

#[tokio::test]
async fn an_http2_client_is_told_to_go_away_for_the_drain_delay_and_is_answered() {
    const HEADERS: u8 = 1;
    const GOAWAY: u8 = 7;
    let process = TestProcess::configured("[server]\ndrain_delay = \"1h\"");
    let of = |kind: u8, stream: u32| {
        move |bytes: &[u8]| {
            let frames = http2::frames(bytes);
            frames
                .iter()
                .any(|frame| (frame.0, frame.2) == (kind, stream))
        }
    };
    let mut before = Wire::connect(process.address).await;
    let request = [http2::preface(&[]), http2::get(1, "/nowhere")].concat();
    before.send(&request).await.unwrap();
    let answered = before.received(of(HEADERS, 1)).await;
    assert!(!of(GOAWAY, 0)(answered), "told before it was time");
    process.signal("TERM");
    until("a connection that is told to go away", async || {
        let mut wire = Wire::connect(process.address).await;
        wire.send(&request).await.unwrap();
        let answered = wire.received(of(HEADERS, 1)).await;
        assert!(of(HEADERS, 1)(answered), "not answered");
        // At once with the answer, or not at all: then it is not draining yet.
        wire.send(http2::ping()).await.unwrap();
        let ponged = |bytes: &[u8]| of(GOAWAY, 0)(bytes) || of(6, 0)(bytes);
        of(GOAWAY, 0)(wire.received(ponged).await)
    })
    .await;
    // One that was there before is told with its next answer.
    before.send(http2::get(3, "/nowhere")).await.unwrap();
    let told = before.received(of(GOAWAY, 0)).await.to_vec();
    assert!(of(GOAWAY, 0)(&told) && of(HEADERS, 3)(before.received(of(HEADERS, 3)).await));
    process.signal("TERM");
    assert_eq!(process.ended_within(LIMIT).await.code(), Some(0));
}

#[tokio::test]
async fn sigint_skips_the_drain_delay() {
    let process = TestProcess::configured("[server]\ndrain_delay = \"1h\"");
    process.signal("INT");
    assert_eq!(process.ended_within(LIMIT).await.code(), Some(0));
}
