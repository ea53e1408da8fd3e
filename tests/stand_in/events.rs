//! What is told of as it happens, and pages of other origins.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::{stand_in, takes_at_most};
use crate::support::client::{Call, TRANSFER};
use crate::support::process::TestProcess;
use crate::support::until;

type Lines = BufReader<TcpStream>;

/// A stream of events, after its head.
async fn events(address: SocketAddr, headers: &str) -> Lines {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /kootask/dev/events HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream);
    while next(&mut lines).await != "\r\n" {}
    lines
}

async fn next(lines: &mut Lines) -> String {
    let mut line = String::new();
    let read = tokio::time::timeout(Duration::from_secs(30), lines.read_line(&mut line));
    assert_ne!(read.await.unwrap().unwrap(), 0, "it ended");
    line
}

/// The kind of the next event.
async fn kind(lines: &mut Lines) -> String {
    loop {
        if let Some(kind) = next(lines).await.strip_prefix("event: ") {
            return kind.trim().to_owned();
        }
    }
}

#[tokio::test]
async fn tasks_requests_clocks_and_resets_are_told() {
    let app = stand_in("progress = 'manual'").await;
    let mut lines = events(app.address, "").await;
    app.create(TRANSFER).send().await.task_id();
    assert_eq!(kind(&mut lines).await, "task");
    assert_eq!(kind(&mut lines).await, "request");
    app.control("POST", "clock/advance", r#"{"by":"1s"}"#).await;
    assert_eq!(kind(&mut lines).await, "clock");
    app.control("POST", "reset", "").await;
    assert_eq!(kind(&mut lines).await, "reset");
}

#[tokio::test]
async fn who_was_away_gets_what_was_missed_or_is_told_to_read_anew() {
    let app = stand_in("progress = 'manual'").await;
    app.create(TRANSFER).send().await.task_id();
    let mut missed = events(app.address, "Last-Event-ID: 0\r\n").await;
    assert_eq!(kind(&mut missed).await, "task");
    assert_eq!(kind(&mut missed).await, "request");
    let mut of_another = events(app.address, "Last-Event-ID: 1000\r\n").await;
    assert_eq!(kind(&mut of_another).await, "refresh");
}

#[tokio::test]
async fn a_process_with_six_open_streams_and_a_hanging_request_ends_within_a_second() {
    takes_at_most(Duration::from_secs(1), async || {
        let process = TestProcess::dev("memory:");
        let own = |path: &str| Call::new(process.address, "POST", &format!("/kootask/dev/{path}"));
        let own = |path: &str, body: &str| {
            let call = own(path).header("Content-Type", "application/json");
            call.body(body).send()
        };
        let mut streams = Vec::new();
        for _ in 0..6 {
            streams.push(events(process.address, "").await);
        }
        own("rules", r#"{"then":{"hang":true}}"#).await;
        let hangs = tokio::spawn(process.create(TRANSFER).try_send());
        until("the request hangs", async || {
            let filed = r#"{"match":{"call":"create"},"atLeast":1,"within":"1s"}"#;
            own("journal/verify", filed).await.status == 200
        })
        .await;
        let begun = Instant::now();
        process.signal("TERM");
        let status = process.ended_within(Duration::from_secs(30)).await;
        assert!(status.success(), "{status}");
        hangs.await.unwrap().unwrap_err();
        begun.elapsed()
    })
    .await;
}

#[tokio::test]
async fn pages_of_local_origins_may_call_and_read_errors_too() {
    let app = stand_in("progress = 'manual'").await;
    for (origin, is_allowed) in [
        ("http://localhost:5173", true),
        ("http://127.0.0.1:3000", true),
        ("https://console.test", true),
        ("https://example.com", false),
    ] {
        let refused = app.create("{}").header("Origin", origin).send().await;
        assert_eq!(refused.status, 400);
        let allowed = refused.headers.get("Access-Control-Allow-Origin");
        assert_eq!(
            allowed.is_some_and(|allowed| allowed == origin),
            is_allowed,
            "{origin}"
        );
        if is_allowed {
            let exposed = refused
                .header("Access-Control-Expose-Headers")
                .to_lowercase();
            for name in ["x-traceid", "retry-after", "idempotency-replayed"] {
                assert!(exposed.contains(name), "{exposed}");
            }
        }
    }
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/koodrive/ose/v1/task/create", app.address);
    let preflight = client
        .request(reqwest::Method::OPTIONS, url)
        .header("Origin", "http://localhost:5173")
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "authorization,x-date")
        .send()
        .await
        .unwrap();
    assert_eq!(preflight.status(), 200);
    let headers = preflight.headers()["Access-Control-Allow-Headers"]
        .to_str()
        .unwrap();
    for name in [
        "authorization",
        "x-date",
        "x-user-id",
        "idempotency-key",
        "language",
        "x-traceid",
    ] {
        assert!(headers.to_lowercase().contains(name), "{headers}");
    }
}
