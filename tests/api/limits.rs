//! The bounds of a request: its size and its time.

use futures_util::future::join_all;
use kootask::config::Defaults;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::TestApp;
use crate::support::client::{TRANSFER, USER};
use crate::support::credentials::app as app_entry;
use crate::support::raw::{RawAnswer, create_head, exchange};

/// A valid body of exactly this many bytes.
fn body_of(length: usize) -> String {
    let padding = " ".repeat(length - TRANSFER.len());
    format!("{TRANSFER}{padding}")
}

fn chunked(host: &str, body: &str) -> String {
    let head = create_head("HTTP/1.1");
    let mut request = format!("{head}Host: {host}\r\nTransfer-Encoding: chunked\r\n\r\n");
    for chunk in body.as_bytes().chunks(50) {
        let text = std::str::from_utf8(chunk).unwrap();
        request.push_str(&format!("{:x}\r\n{text}\r\n", chunk.len()));
    }
    request + "0\r\n\r\n"
}

const SMALL: &str = "[server]\nbody_limit = 128";

#[tokio::test]
async fn a_body_of_the_limit_is_taken_and_one_byte_more_is_413() {
    let app = TestApp::start(SMALL, Defaults::Dev).await;
    app.create(&body_of(128)).send().await.task_id();
    let answer = app.create(&body_of(129)).send().await;
    assert_eq!(answer.status, 413);
    assert_eq!(answer.body["code"], 13_000_101);
    app.stop().await;
}

#[tokio::test]
async fn a_body_whose_size_is_not_announced_is_bounded_too() {
    let app = TestApp::start(SMALL, Defaults::Dev).await;
    let taken = exchange(app.address, chunked("h", &body_of(128))).await;
    assert_eq!(taken.status, 200, "{taken:?}");
    let refused = exchange(app.address, chunked("h", &body_of(129))).await;
    assert_eq!(refused.status, 413, "{refused:?}");
    assert_eq!(refused.json()["code"], 13_000_101);
    app.stop().await;
}

#[tokio::test]
async fn a_size_that_is_only_announced_is_413_before_anything_is_read() {
    let app = TestApp::dev().await;
    let head = create_head("HTTP/1.1");
    let request = format!("{head}Host: h\r\nContent-Length: 9000000000\r\n\r\n");
    let answer = exchange(app.address, request).await;
    assert_eq!(answer.status, 413);
    app.stop().await;
}

#[tokio::test]
async fn a_signed_body_is_bounded_before_it_is_hashed() {
    let config = format!(
        "{SMALL}\n{}",
        app_entry("console", "secret-of-the-console", "acme")
    );
    let app = TestApp::start(&config, Defaults::Serve).await;
    app.create(&body_of(128))
        .signed("console", "secret-of-the-console")
        .send()
        .await
        .task_id();
    let answer = app
        .create(&body_of(129))
        .signed("console", "secret-of-the-console")
        .send()
        .await;
    assert_eq!(answer.status, 413);
    app.stop().await;
}

#[tokio::test]
async fn the_default_limit_is_16_kib() {
    let app = TestApp::dev().await;
    app.create(&body_of(16 * 1024)).send().await.task_id();
    assert_eq!(app.create(&body_of(16 * 1024 + 1)).send().await.status, 413);
    app.stop().await;
}

const HURRIED: &str = "[server]\nrequest_timeout = \"150ms\"";

/// The head of a request whose body never comes in full.
fn unfinished(authorization: &str) -> String {
    let head = create_head("HTTP/1.1");
    format!("{head}Host: h\r\n{authorization}Content-Length: 80\r\n\r\n{{\"taskType\"")
}

#[tokio::test]
async fn a_body_that_does_not_arrive_in_time_is_408() {
    let app = TestApp::start(HURRIED, Defaults::Dev).await;
    let answer = exchange(app.address, unfinished("")).await;
    assert_eq!(answer.status, 408, "{answer:?}");
    assert_eq!(answer.json()["code"], 13_000_101);
    app.stop().await;
}

#[tokio::test]
async fn a_signed_body_that_does_not_arrive_in_time_is_408() {
    let config = format!(
        "{HURRIED}\n{}",
        app_entry("console", "secret-of-the-console", "acme")
    );
    let app = TestApp::start(&config, Defaults::Serve).await;
    let signature = "0".repeat(64);
    let authorization = format!(
        "Authorization: HMAC-SHA256 AppId=console,SignedHeaders=host;x-date;x-user-id,Signature={signature}\r\n"
    );
    let answer = exchange(app.address, unfinished(&authorization)).await;
    assert_eq!(answer.status, 408, "{answer:?}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_one_of_many_late_bodies_is_408() {
    let app = TestApp::start(HURRIED, Defaults::Dev).await;
    let late = || exchange(app.address, unfinished(""));
    let answers = join_all((0..300).map(|_| late())).await;
    for answer in answers {
        assert_eq!(answer.status, 408, "{answer:?}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_malformed() {
    let app = TestApp::dev().await;
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    stream.write_all(unfinished("").as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let answer = RawAnswer::read(&text);
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(answer.json()["msg"], "The body could not be read.");
    app.stop().await;
}

#[tokio::test]
async fn the_service_goes_on_after_a_client_has_left() {
    let app = TestApp::dev().await;
    for _ in 0..20 {
        let mut stream = tokio::net::TcpStream::connect(app.address).await.unwrap();
        let request = unfinished("");
        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes())
            .await
            .unwrap();
    }
    app.create(TRANSFER)
        .header("X-User-Id", USER)
        .send()
        .await
        .task_id();
    app.stop().await;
}
