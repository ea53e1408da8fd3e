//! Heads that are too large, too many or no HTTP.

use super::assert_serves_others;
use crate::support::process::TestProcess;
use crate::support::wire::{Wire, create_head};

/// Sends it, and expects a refusal of one of these statuses and the end of the
/// connection.
async fn refused(process: &TestProcess, request: impl AsRef<[u8]>, statuses: &[u16]) {
    let mut wire = Wire::connect(process.address).await;
    // The end may come while the rest is still being sent.
    let _ = wire.send(request).await;
    if let Some(reply) = wire.try_reply().await {
        assert!(statuses.contains(&reply.status), "{reply:?}");
    }
    wire.closed().await;
    assert_serves_others(process).await;
}

#[tokio::test]
async fn a_head_beyond_its_bounds_is_refused() {
    let process = TestProcess::dev("memory:");
    let head = create_head();
    let huge = "x".repeat(1 << 20);
    refused(&process, format!("{head}X-Huge: {huge}\r\n\r\n"), &[431]).await;
    refused(
        &process,
        format!("POST /{huge} HTTP/1.1\r\nHost: test\r\n\r\n"),
        &[414, 431],
    )
    .await;
    refused(
        &process,
        format!("{huge} / HTTP/1.1\r\nHost: test\r\n\r\n"),
        &[400, 431],
    )
    .await;
    let many: String = (0..10_000)
        .map(|number| format!("X-{number}: x\r\n"))
        .collect();
    refused(&process, format!("{head}{many}\r\n"), &[431]).await;
}

#[tokio::test]
async fn bytes_that_are_no_http_are_refused() {
    let process = TestProcess::dev("memory:");
    for bytes in [
        &[0; 1000][..],
        &[0xff; 1000],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS client's hello",
        b"hello\r\n\r\n",
        b"POST / HTTP/9.9\r\nHost: test\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost test\r\n\r\n",
        b"POST / HTTP/1.1\r\nHo\0st: test\r\n\r\n",
    ] {
        refused(&process, bytes, &[400]).await;
    }
}

#[tokio::test]
async fn an_http2_connection_that_breaks_the_protocol_is_closed() {
    let process = TestProcess::dev("memory:");
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    for frames in [
        // No frame at all.
        &b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"[..],
        // A frame of 16 MiB.
        &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1, 0, 0],
        // Data on a stream that was never opened.
        &[0, 0, 1, 0, 0, 0, 0, 0, 1, 0],
        // Headers that are no HPACK.
        &[0, 0, 4, 1, 4, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff],
    ] {
        let mut wire = Wire::connect(process.address).await;
        wire.send([PREFACE, SETTINGS, frames].concat())
            .await
            .unwrap();
        wire.closed().await;
        assert_serves_others(&process).await;
    }
}

/// Each opened stream costs the service work, each reset one nothing but a few
/// bytes: the attack of CVE-2023-44487.
#[tokio::test]
async fn http2_streams_that_are_reset_at_once_do_not_stop_the_service() {
    let process = TestProcess::dev("memory:");
    let before = process.resident_kib();
    let mut wire = Wire::connect(process.address).await;
    wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    // :method GET, :scheme http, :path /, :authority a; and the reset.
    let fields = [0x82, 0x86, 0x84, 0x41, 0x01, b'a'];
    let mut refused = false;
    for burst in 0..200_u32 {
        let mut frames = Vec::new();
        for stream in (0..100).map(|number| (burst * 100 + number) * 2 + 1) {
            let id = stream.to_be_bytes();
            frames.extend([0, 0, 6, 1, 5]);
            frames.extend(id);
            frames.extend(fields);
            frames.extend([0, 0, 4, 3, 0]);
            frames.extend(id);
            frames.extend([0, 0, 0, 8]);
        }
        refused |= wire.send(frames).await.is_err();
        if burst % 50 == 0 {
            assert_serves_others(&process).await;
        }
    }
    if !refused {
        // Refused or not, what is sent is taken for a while.
        wire.closed().await;
    }
    assert_serves_others(&process).await;
    let grown = process.resident_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB");
}
