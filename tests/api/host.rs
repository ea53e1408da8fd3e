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

/// Whoever stands between may have gone by the other one.
#[tokio::test]
async fn an_absolute_target_must_name_the_host_that_the_header_names() {
    let app = TestApp::dev().await;
    let head = create_head("HTTP/1.1").replace("POST /", "POST http://Tasks.example.com/");
    let same = head.clone() + "Host: tasks.example.com\r\n";
    let answer = exchange(app.address, with_body(&same)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    for other in ["other.example.com", "tasks.example.com:81", ""] {
        let head = format!("{head}Host: {other}\r\n");
        let answer = exchange(app.address, with_body(&head)).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        let msg = "The Host header must name the host that the request is for.";
        assert_eq!(answer.json()["msg"], msg);
    }
    app.stop().await;
}

#[tokio::test]
async fn http_2s_authority_must_be_the_host_that_the_header_names() {
    let app = TestApp::dev().await;
    let call = app.create(TRANSFER).over_http2();
    let other = call.clone().header("Host", "other.example.com");
    assert_eq!(other.send().await.status, 400);
    let same = call.header("Host", &app.address.to_string());
    same.send().await.task_id();
    app.stop().await;
}

#[tokio::test]
async fn a_host_must_be_a_host() {
    let app = TestApp::dev().await;
    for (host, status) in [
        ("tasks.example.com", 200),
        ("tasks.example.com:443", 200),
        ("tasks_1", 200),
        ("127.0.0.1:8080", 200),
        ("[::1]:8080", 200),
        ("[::1]", 200),
        ("a b", 400),
        ("a/b", 400),
        ("user@a", 400),
        ("a:b", 400),
        ("a:1:2", 400),
        ("a:65536", 400),
        (":80", 400),
        ("[::1", 400),
        ("::1", 400),
        ("a?b", 400),
        ("a#b", 400),
        (&"a".repeat(256), 400),
    ] {
        let head = format!("{}Host: {host}\r\n", create_head("HTTP/1.1"));
        let answer = exchange(app.address, with_body(&head)).await;
        assert_eq!(answer.status, status, "{host}: {answer:?}");
    }
    app.stop().await;
}
