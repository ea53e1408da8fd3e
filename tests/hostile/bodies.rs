//! Bodies that are endless, or that are hard on who parses them.

use std::time::{Duration, Instant};

use super::{assert_serves_others, serve_with};
use crate::support::process::TestProcess;
use crate::support::wire::{Wire, create_head, create_request};

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n\r\n";

#[tokio::test]
async fn a_body_that_never_ends_is_refused_at_its_limit() {
    let process = TestProcess::dev("memory:");
    let before = process.resident_kib();
    let mut wire = Wire::connect(process.address).await;
    wire.send(format!("{}{CHUNKED}", create_head()))
        .await
        .unwrap();
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(4096));
    let begun = Instant::now();
    let mut sent = 0;
    while wire.send(&chunk).await.is_ok() {
        sent += chunk.len();
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{sent} bytes were taken"
        );
        if sent % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    assert_serves_others(&process).await;
    let grown = process.resident_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB");
}

#[tokio::test]
async fn ten_gigabytes_are_refused_when_they_are_announced() {
    let process = TestProcess::dev("memory:");
    let mut wire = Wire::connect(process.address).await;
    let begun = Instant::now();
    wire.send(format!(
        "{}Content-Length: 10000000000\r\n\r\n{{",
        create_head()
    ))
    .await
    .unwrap();
    let reply = wire.reply().await;
    assert_eq!(reply.status, 413, "{reply:?}");
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert_eq!(wire.closed().await, "");
    assert_serves_others(&process).await;
}

#[tokio::test]
async fn a_large_or_deep_document_is_refused_quickly_and_without_harm() {
    // Larger than by default: these are to reach the parser.
    let process = serve_with("body_limit = \"16MiB\"");
    let before = process.resident_kib();
    let million = format!("[{}0]", "0,".repeat(999_999));
    let deep = "[".repeat(100_000);
    let deep_objects = "{\"srcUserId\":".repeat(100_000);
    let closed_deep = format!("{deep}{}", "]".repeat(100_000));
    let many_keys: String = (0..200_000)
        .map(|number| format!("\"key-{number}\":0,"))
        .collect();
    let long = "x".repeat(10 << 20);
    for (what, body) in [
        ("a million elements", million.clone()),
        (
            "a million elements in a field",
            format!("{{\"srcUserId\":{million}}}"),
        ),
        ("an open depth", deep.clone()),
        ("a depth", closed_deep.clone()),
        (
            "an open depth in a field",
            format!("{{\"srcUserId\":{deep}"),
        ),
        (
            "a depth in a field",
            format!("{{\"srcUserId\":{closed_deep}}}"),
        ),
        (
            "a depth in an unknown field",
            format!("{{\"unknown\":{closed_deep}}}"),
        ),
        ("a depth of objects", deep_objects),
        ("many keys", format!("{{{many_keys}\"end\":0}}")),
        (
            "the same key over and over",
            format!("{{{}\"end\":0}}", "\"srcUserId\":\"x\",".repeat(100_000)),
        ),
        ("a long text", format!("{{\"srcUserId\":\"{long}\"}}")),
        (
            "a long number",
            format!("{{\"taskType\":{}}}", "9".repeat(1 << 20)),
        ),
        ("a large exponent", "{\"taskType\":1e999999999}".to_owned()),
    ] {
        let mut wire = Wire::connect(process.address).await;
        let begun = Instant::now();
        wire.send(create_request("", &body)).await.unwrap();
        let reply = wire.reply().await;
        assert_eq!(reply.status, 400, "{what}: {reply:?}");
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{what} took {:?}",
            begun.elapsed()
        );
        assert!(reply.body.len() < 1000, "{what} is echoed: {reply:?}");
        assert_serves_others(&process).await;
    }
    let grown = process.resident_kib().saturating_sub(before);
    assert!(grown < 200 * 1024, "{grown} KiB");
}
