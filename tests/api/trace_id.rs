//! `X-Traceid`: echoed or made.

use std::collections::HashSet;

use crate::support::TestApp;
use crate::support::client::TRANSFER;
use crate::support::raw::exchange;

#[tokio::test]
async fn the_clients_trace_id_is_echoed() {
    let app = TestApp::dev().await;
    for id in ["x", "!~", &"a".repeat(58), &"b".repeat(128), "a,b;c=\"d\""] {
        let answer = app.create(TRANSFER).header("X-Traceid", id).send().await;
        answer.task_id();
        assert_eq!(answer.header("X-Traceid"), id);
    }
    app.stop().await;
}

#[tokio::test]
async fn without_one_an_id_of_58_characters_is_made_for_each_request() {
    let app = TestApp::dev().await;
    let mut seen = HashSet::new();
    for _ in 0..3 {
        let answer = app.create(TRANSFER).send().await;
        let id = answer.header("X-Traceid").to_owned();
        assert_eq!(id.len(), 58, "{id}");
        assert!(id.bytes().all(|byte| byte.is_ascii_graphic()), "{id}");
        assert!(seen.insert(id), "repeated");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_malformed_trace_id_is_refused_and_another_made() {
    let app = TestApp::dev().await;
    for id in ["", "a b", "a\tb", "é", &"x".repeat(129)] {
        let answer = app.create(TRANSFER).header("X-Traceid", id).send().await;
        assert_eq!(answer.status, 400, "{id}");
        assert_eq!(answer.body["code"], 13_000_102, "{id}");
        assert_eq!(answer.body["details"][0]["field"], "X-Traceid", "{id}");
        assert_eq!(answer.header("X-Traceid").len(), 58, "{id}");
    }
    app.stop().await;
}

#[tokio::test]
async fn errors_of_every_layer_carry_it() {
    let app = TestApp::dev().await;
    let calls = [
        app.call("GET", "/nowhere"),
        app.call("GET", kootask::api::CREATE),
        app.create("").body(vec![b' '; 64 * 1024]),
        app.create(TRANSFER).bearer("two words"),
        app.create(TRANSFER).without("X-Date"),
        app.create("[]"),
        app.create(TRANSFER).header("Content-Type", "text/plain"),
    ];
    for call in calls {
        let answer = call.header("X-Traceid", "the-same").send().await;
        assert!(answer.status.is_client_error());
        assert_eq!(answer.header("X-Traceid"), "the-same", "{answer:?}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_request_without_a_host_carries_it() {
    let app = TestApp::dev().await;
    let request = "GET /nowhere HTTP/1.0\r\nX-Traceid: ABC\r\n\r\n";
    let answer = exchange(app.address, request).await;
    assert!(answer.head.contains("\r\nx-traceid: abc"), "{answer:?}");
    app.stop().await;
}
