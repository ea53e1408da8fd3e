//! Connections on which little or nothing comes.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use kootask::api::LIST;

use super::{assert_serves_others, serve_with};
use crate::support::http2;
use crate::support::process::TestProcess;
use crate::support::wire::{Wire, create_head, transfer_from};

/// The service waits 30 s for a head; this is when it must have lost patience.
const PATIENCE: Duration = Duration::from_secs(34);

/// An answer's bytes may wait to be taken for up to 30 s; this is when it must have
/// lost patience.
const UNTAKEN: Duration = Duration::from_secs(40);

/// Sends a byte at a time, until the service closes the connection.
async fn trickle(mut wire: Wire, bytes: impl IntoIterator<Item = u8>) {
    for byte in bytes {
        if wire.send([byte]).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn connections_without_a_whole_head_are_closed_in_time() {
    let process = TestProcess::dev("memory:");
    let begun = Instant::now();
    let connect = || Wire::connect(process.address);
    let silent = connect().await;
    let mut preface = connect().await;
    preface.send("PRI * HT").await.unwrap();
    let mut http2 = connect().await;
    http2
        .send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    let mut half_a_head = connect().await;
    half_a_head.send(create_head()).await.unwrap();
    let mut half_a_second_head = connect().await;
    half_a_second_head
        .create("", &transfer_from("source"))
        .await
        .unwrap()
        .task_id();
    half_a_second_head.send(create_head()).await.unwrap();
    let trickling = connect().await;
    let endless_head = create_head()
        .into_bytes()
        .into_iter()
        .chain(std::iter::repeat(b'x'));

    let closed = async {
        let connections = [silent, preface, http2, half_a_head, half_a_second_head];
        let closed = join_all(connections.map(|wire| wire.closed_within(PATIENCE)));
        tokio::join!(closed, trickle(trickling, endless_head))
    };
    let others = async {
        while begun.elapsed() < Duration::from_secs(25) {
            assert_serves_others(&process).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let (closed, ()) = tokio::join!(tokio::time::timeout(PATIENCE, closed), others);
    closed.expect("a connection is still open");
}

#[tokio::test]
async fn a_body_that_trickles_is_given_up_at_the_request_timeout() {
    let process = serve_with("request_timeout = \"500ms\"");
    let begun = Instant::now();
    let mut wire = Wire::connect(process.address).await;
    wire.begin_create("", 10_000).await;
    for _ in 0..10 {
        wire.send("{").await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_serves_others(&process).await;
    assert_eq!(wire.reply().await.status, 408);
    assert!(begun.elapsed() >= Duration::from_millis(450));
    // What comes of the body afterwards is not taken for a request.
    assert_eq!(wire.closed().await, "");
}

#[tokio::test]
async fn a_client_that_reads_no_answers_does_not_fill_the_memory() {
    let process = TestProcess::dev("memory:");
    let before = process.resident_kib();
    let mut wire = Wire::connect(process.address).await;
    let request = "GET /nowhere HTTP/1.1\r\nHost: test\r\n\r\n".repeat(1000);
    let mut sent = 0;
    // It stops to read when its answers do not leave.
    while let Ok(taken) = tokio::time::timeout(Duration::from_secs(2), wire.send(&request)).await {
        taken.unwrap();
        sent += request.len();
        assert!(sent < 1 << 30, "it reads on and on");
    }
    assert_serves_others(&process).await;
    let grown = process.resident_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB");
    // Nor does it keep its connection by reading a byte now and then.
    let (begun, open) = (Instant::now(), process.open_files());
    while process.open_files() >= open {
        assert!(begun.elapsed() < UNTAKEN, "the connection is still open");
        wire.read_byte().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn answers_behind_a_closed_window_are_bounded_and_end_their_connections() {
    // What is kept of requests is not what is tried.
    let process = TestProcess::configured("[dev]\nprogress = \"manual\"\njournal = 1");
    let mut wire = Wire::connect(process.address).await;
    for number in 0..100 {
        let body = transfer_from(&format!("{number:060}"));
        wire.create("", &body).await.unwrap().task_id();
    }
    let before = process.resident_kib();
    let mut closed = Vec::new();
    for _ in 0..20 {
        let mut wire = Wire::connect(process.address).await;
        wire.send(http2::preface(&[(http2::INITIAL_WINDOW_SIZE, 0)]))
            .await
            .unwrap();
        for stream in (0..128).map(|number| 2 * number + 1) {
            wire.send(http2::get(stream, LIST)).await.unwrap();
        }
        // They are answered, and wait.
        wire.received(|bytes| http2::frames(bytes).iter().any(|frame| frame.0 == 1))
            .await;
        closed.push(wire.closed_within(UNTAKEN));
    }
    assert_serves_others(&process).await;
    // An address may have 32 MiB of answers wait, of the 90 that it asked for; its
    // requests and connections take their own.
    let grown = process.resident_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB");
    join_all(closed).await;
}

#[tokio::test]
async fn an_idle_connection_ends_whatever_its_protocol_and_though_it_asks_whether_we_are_there() {
    let process = serve_with("keep_alive = \"1s\"");
    let mut http1 = Wire::connect(process.address).await;
    let mut http2 = Wire::connect(process.address).await;
    http1.read("/nowhere").await.unwrap();
    let asked = [http2::preface(&[]), http2::get(1, "/nowhere")].concat();
    http2.send(asked).await.unwrap();
    let begun = Instant::now();
    let pings = async {
        while http2.send(http2::ping()).await.is_ok() {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "it is still open"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let idle = async {
        assert_eq!(http1.closed().await, "");
        assert!(begun.elapsed() >= Duration::from_millis(900), "too early");
    };
    tokio::join!(pings, idle);
    assert_serves_others(&process).await;
}

#[tokio::test]
async fn a_connection_that_is_used_now_and_then_stays() {
    let process = serve_with("keep_alive = \"3s\"");
    let mut wire = Wire::connect(process.address).await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(8) {
        let reply = wire.create("", &transfer_from("source")).await;
        reply.expect("closed though it was not idle").task_id();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
