//! `Host`, or what HTTP/2 has in its place.

use crate::support::TestApp;
use crate::support::client::TRANSFER;
use crate::support::raw::{create_head, exchange};

fn with_body(head: &str) -> String {
    format!("{head}Content-Length: {}\r\n\r\n{TRANSFER}", TRANSFER.len())
}

#[tokio::test]
async fn http_1_0_without_host_is_malformed() {
    let app = TestApp::dev().await;
    let answer = exchange(app.address, with_body(&create_head("HTTP/1.0"))).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["code"], 13_000_101);
    assert_eq!(answer.json()["msg"], "The Host header is missing.");
    app.stop().await;
}

#[tokio::test]
async fn http_1_1_without_host_is_malformed() {
    let app = TestApp::dev().await;
    let answer = exchange(app.address, with_body(&create_head("HTTP/1.1"))).await;
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (400, &13_000_101.into())
    );
    app.stop().await;
}

#[tokio::test]
async fn an_empty_host_is_none() {
    let app = TestApp::dev().await;
    let head = create_head("HTTP/1.1") + "Host: \r\n";
    let answer = exchange(app.address, with_body(&head)).await;
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (400, &13_000_101.into())
    );
    app.stop().await;
}

#[tokio::test]
async fn http_1_0_with_host_is_served() {
    let app = TestApp::dev().await;
    let head = create_head("HTTP/1.0") + "Host: tasks.example.com\r\n";
    let answer = exchange(app.address, with_body(&head)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    app.stop().await;
}

/// RFC 9112, section 3.2: more than one must be refused. What one part of a
/// deployment takes for the host must not be another part's second choice.
#[tokio::test]
async fn two_hosts_are_refused() {
    let app = TestApp::dev().await;
    let head = create_head("HTTP/1.1") + "Host: a.example.com\r\nHost: b.example.com\r\n";
    let answer = exchange(app.address, with_body(&head)).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    app.stop().await;
}

#[tokio::test]
async fn http_2_needs_no_host_header_since_its_authority_counts() {
    let app = TestApp::dev().await;
    let answer = app.create(TRANSFER).over_http2().send().await;
    assert!(answer.task_id() > 0);
    app.stop().await;
}

#[tokio::test]
async fn http_2s_authority_takes_part_in_the_signature() {
    let credentials = crate::support::credentials::app("console", "secret-of-the-console", "acme");
    let app = TestApp::start(&credentials, kootask::config::Defaults::Serve).await;
    let call = app
        .create(TRANSFER)
        .signed("console", "secret-of-the-console")
        .over_http2();
    call.send().await.task_id();
    app.stop().await;
}
