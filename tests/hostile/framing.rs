//! Where one request ends and the next begins: what a proxy before the service
//! may see otherwise must not be served.

use super::assert_serves_others;
use crate::support::process::TestProcess;
use crate::support::wire::{Wire, create_head, create_request, transfer_from};

#[tokio::test]
async fn pipelined_requests_are_each_answered_in_their_order() {
    let process = TestProcess::dev("memory:");
    let mut wire = Wire::connect(process.address).await;
    let requests: String = (0..200)
        .map(|number| {
            let trace = format!("X-Traceid: trace-{number}\r\n");
            create_request(&trace, &transfer_from("source"))
        })
        .collect();
    wire.send(requests).await.unwrap();
    let mut last = 0;
    for number in 0..200 {
        let reply = wire.reply().await;
        assert!(
            reply
                .head
                .contains(&format!("\r\nx-traceid: trace-{number}\r\n")),
            "{reply:?}"
        );
        assert!(
            reply.task_id() > last,
            "the second was done before the first"
        );
        last = reply.task_id();
    }
}

#[tokio::test]
async fn a_request_whose_length_is_ambiguous_is_refused() {
    let process = TestProcess::dev("memory:");
    let body = transfer_from("source");
    let length = body.len();
    let chunked = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
    for (lines, body) in [
        (
            format!("Content-Length: {length}\r\nContent-Length: 0\r\n"),
            &body,
        ),
        (format!("Content-Length: {length}, 0\r\n"), &body),
        (format!("Content-Length: +{length}\r\n"), &body),
        (format!("Content-Length: -{length}\r\n"), &body),
        (format!("Content-Length: 0x{length:x}\r\n"), &body),
        ("Content-Length: 18446744073709551616\r\n".to_owned(), &body),
        (format!("Content-Length : {length}\r\n"), &body),
        (format!(" Content-Length: {length}\r\n"), &body),
        (
            "Transfer-Encoding: chunked, identity\r\n".to_owned(),
            &chunked,
        ),
        ("Transfer-Encoding: xchunked\r\n".to_owned(), &chunked),
        ("Transfer-Encoding: gzip\r\n".to_owned(), &chunked),
        ("Transfer-Encoding : chunked\r\n".to_owned(), &chunked),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n".to_owned(),
            &chunked,
        ),
    ] {
        let mut wire = Wire::connect(process.address).await;
        wire.send(format!("{}{lines}\r\n{body}", create_head()))
            .await
            .unwrap();
        let reply = wire.reply().await;
        assert_eq!(reply.status, 400, "{lines:?}: {reply:?}");
        assert_eq!(wire.closed().await, "", "{lines:?}");
        assert_serves_others(&process).await;
    }
}

/// RFC 9112, 6.3: such a request may be taken as chunked, but its connection
/// must end with it.
#[tokio::test]
async fn after_a_request_with_both_lengths_nothing_smuggled_is_served() {
    let process = TestProcess::dev("memory:");
    let smuggled = create_request("X-Traceid: smuggled\r\n", &transfer_from("source"));
    let body = transfer_from("source");
    let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n{smuggled}", body.len());
    let length = format!("Content-Length: {}\r\n", chunks.len());
    let encoding = "Transfer-Encoding: chunked\r\n";
    for lines in [format!("{length}{encoding}"), format!("{encoding}{length}")] {
        let mut wire = Wire::connect(process.address).await;
        wire.send(format!("{}{lines}\r\n{chunks}", create_head()))
            .await
            .unwrap();
        let first = wire.reply().await;
        assert!([200, 400].contains(&first.status), "{first:?}");
        assert_eq!(wire.closed().await, "", "{lines:?}");
        assert_serves_others(&process).await;
    }
}

#[tokio::test]
async fn chunks_that_are_malformed_are_refused() {
    let process = TestProcess::dev("memory:");
    for chunks in [
        "no length\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\nhello",
        "5\r\nhello, this is longer\r\n0\r\n\r\n",
        "5;\nhello\r\n0\r\n\r\n",
    ] {
        let mut wire = Wire::connect(process.address).await;
        let request = format!(
            "{}Transfer-Encoding: chunked\r\n\r\n{chunks}",
            create_head()
        );
        wire.send(request).await.unwrap();
        let reply = wire.reply().await;
        assert_eq!(reply.status, 400, "{chunks:?}: {reply:?}");
        assert_eq!(wire.closed().await, "", "{chunks:?}");
        assert_serves_others(&process).await;
    }
}

/// What is left of a refused request's body is skipped, or its connection ends.
#[tokio::test]
async fn a_body_that_was_refused_is_not_taken_for_the_next_request() {
    let process = TestProcess::dev("memory:");
    let smuggled = create_request("X-Traceid: smuggled\r\n", &transfer_from("source"));
    let large = create_request("", &format!("{}{smuggled}", " ".repeat(20_000)));
    let length = smuggled.len();
    let unknown = format!("POST /nowhere HTTP/1.1\r\nHost: test\r\nContent-Length: {length}");
    for (request, status) in [(large, 413), (format!("{unknown}\r\n\r\n{smuggled}"), 404)] {
        let mut wire = Wire::connect(process.address).await;
        wire.send(request).await.unwrap();
        assert_eq!(wire.reply().await.status, status);
        if let Some(next) = wire
            .create("X-Traceid: next\r\n", &transfer_from("source"))
            .await
        {
            assert!(next.head.contains("x-traceid: next"), "{next:?}");
        }
        assert_serves_others(&process).await;
    }
}
