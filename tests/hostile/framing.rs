//! Where one request ends and the next begins: what a proxy before the service
//! may see otherwise must not be served.

use kootask::api::CREATE;

use super::assert_serves_others;
use crate::support::http2;
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
        ("Transfer-Encoding: gzip, chunked\r\n".to_owned(), &chunked),
        (
            "Transfer-Encoding: chunked, chunked\r\n".to_owned(),
            &chunked,
        ),
        (
            "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n".to_owned(),
            &chunked,
        ),
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

/// Requests whose body is chunked and ends in this: to the service's own call, and
/// to a path where nobody reads it.
fn chunked_requests(end: &str) -> [String; 2] {
    let body = transfer_from("source");
    let chunks = format!(
        "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n{end}",
        body.len()
    );
    [
        format!("{}{chunks}", create_head()),
        format!("POST /nowhere HTTP/1.1\r\nHost: test\r\n{chunks}"),
    ]
}

/// A proxy that takes a bare line feed for the end of a line sees two requests
/// here, and the body of the second is data. The HTTP library takes the second's
/// head for trailers, and would serve its body as the next request.
#[tokio::test]
async fn behind_a_chunked_body_that_ends_in_a_bare_line_feed_nothing_is_served() {
    let process = TestProcess::dev("memory:");
    let smuggled = create_request("X-Traceid: smuggled\r\n", &transfer_from("smuggled"));
    let victim = create_request("X-Traceid: victim\r\n", &smuggled);
    for end in ["0\r\n\n", "0\r\n\nX: y\r\n", "0\r\nX: y\n\n", "0;x\r\n\n"] {
        for first in chunked_requests(end) {
            let mut wire = Wire::connect(process.address).await;
            wire.send(format!("{first}{victim}")).await.unwrap();
            let reply = wire.reply().await;
            assert!([400, 404].contains(&reply.status), "{end:?}: {reply:?}");
            assert!(reply.head.contains("\r\nconnection: close"), "{reply:?}");
            assert_eq!(wire.closed().await, "", "{end:?}");
        }
    }
    assert_serves_others(&process).await;
}

#[tokio::test]
async fn a_request_with_trailers_is_refused_and_its_connection_closed() {
    let process = TestProcess::dev("memory:");
    for end in ["0\r\nX-Trailer: 1\r\n\r\n", "0\r\nA: 1\r\nB: 2\r\n\r\n"] {
        let [request, _] = chunked_requests(end);
        let mut wire = Wire::connect(process.address).await;
        let next = create_request("", &transfer_from("source"));
        wire.send(format!("{request}{next}")).await.unwrap();
        let reply = wire.reply().await;
        assert_eq!(reply.status, 400, "{reply:?}");
        assert!(reply.body.contains("Trailers"), "{reply:?}");
        assert!(reply.head.contains("\r\nconnection: close"), "{reply:?}");
        assert_eq!(wire.closed().await, "");
    }
    let mut wire = Wire::connect(process.address).await;
    let request = [
        http2::preface(&[]),
        http2::post_head(1, CREATE, &[]),
        http2::data(1, transfer_from("source").as_bytes(), false),
        http2::trailers(1),
    ];
    wire.send(request.concat()).await.unwrap();
    assert!(wire.ends_in_order().await);
    let received = wire.received(|_| true).await;
    let kinds: Vec<u8> = http2::frames(received)
        .iter()
        .map(|frame| frame.0)
        .collect();
    assert!(
        kinds.contains(&1) && kinds.contains(&7),
        "an answer and GOAWAY: {kinds:?}"
    );
    assert!(String::from_utf8_lossy(received).contains("Trailers"));
}

#[tokio::test]
async fn a_client_that_closes_its_sending_side_after_its_request_is_answered() {
    let process = TestProcess::dev("memory:");
    let mut wire = Wire::connect(process.address).await;
    wire.send(create_request("", &transfer_from("source")))
        .await
        .unwrap();
    wire.end_sending().await;
    wire.reply().await.task_id();
    assert_eq!(wire.closed().await, "");
}

/// A connection that is closed while bytes are on their way is reset, and with it
/// the answer is lost; one that is not said to be closed goes into a pool, where
/// it breaks the next request.
#[tokio::test]
async fn a_client_reads_its_refusal_after_it_has_sent_all_and_knows_that_the_connection_ends() {
    let process = TestProcess::configured(
        "[auth]\nmode = \"verify\"\n[[auth.tokens]]\ntenant_id = \"acme\"\n\
         token_sha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"",
    );
    let body = " ".repeat(3 << 20);
    let length = body.len();
    let unknown = "POST /nowhere HTTP/1.1\r\nHost: test\r\n".to_owned();
    for (head, status) in [
        (create_head(), 401),
        (unknown, 404),
        (format!("{}X-Traceid: \u{1}\r\n", create_head()), 400),
    ] {
        let mut wire = Wire::connect(process.address).await;
        wire.send(format!("{head}Content-Length: {length}\r\n\r\n"))
            .await
            .unwrap();
        // What the service does not want it takes nevertheless.
        wire.send(&body).await.unwrap();
        let reply = wire.reply().await;
        assert_eq!(reply.status, status, "{reply:?}");
        assert!(reply.head.contains("\r\nconnection: close"), "{reply:?}");
        assert!(wire.ends_in_order().await, "{status}: reset");
    }
    // A request without a body leaves nothing behind.
    let mut wire = Wire::connect(process.address).await;
    for _ in 0..3 {
        let reply = wire.read("/nowhere").await.unwrap();
        assert_eq!(reply.status, 404);
        assert!(!reply.head.contains("connection: close"), "{reply:?}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_so_that_a_pool_learns_of_it() {
    let process = TestProcess::dev("memory:");
    for _ in 0..20 {
        let mut wire = Wire::connect(process.address).await;
        let reply = wire.create("", &" ".repeat(1 << 20)).await.unwrap();
        assert_eq!(reply.status, 413, "{reply:?}");
        assert!(reply.head.contains("\r\nconnection: close"), "{reply:?}");
        assert!(wire.ends_in_order().await, "reset");
    }
}

/// The HTTP library sends no interim answer over HTTP/2, and needs none: a client
/// must not wait for ever (RFC 9110, 10.1.1).
#[tokio::test]
async fn over_http2_a_client_that_expects_100_is_served_when_it_goes_on_and_408_when_it_waits() {
    let process = TestProcess::configured("[server]\nrequest_timeout = \"2s\"");
    let body = transfer_from("source");
    let expect = [("expect", "100-continue")];
    let mut wire = Wire::connect(process.address).await;
    let heads = [
        http2::preface(&[]),
        http2::post_head(1, CREATE, &expect),
        http2::post_head(3, CREATE, &expect),
    ];
    wire.send(heads.concat()).await.unwrap();
    wire.send(http2::data(1, body.as_bytes(), true))
        .await
        .unwrap();
    let ended = |bytes: &[u8], stream| {
        let is_end = |frame: &(u8, u8, u32)| frame.0 == 0 && frame.1 & 1 == 1 && frame.2 == stream;
        http2::frames(bytes).iter().any(is_end)
    };
    let received = wire.received(|bytes| ended(bytes, 1)).await;
    assert!(String::from_utf8_lossy(received).contains("\"taskId\""));
    assert!(!ended(received, 3));
    let received = wire.received(|bytes| ended(bytes, 3)).await;
    assert!(String::from_utf8_lossy(received).contains("did not arrive in time"));
}
