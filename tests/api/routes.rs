//! Paths and methods that are none of the calls.

use kootask::api::CREATE;
use kootask::config::Defaults;

use crate::support::TestApp;
use crate::support::client::TRANSFER;
use crate::support::credentials::token;
use crate::support::raw::exchange;

#[tokio::test]
async fn an_unknown_path_is_404_to_anybody() {
    let app = TestApp::start(&token("t", "acme"), Defaults::Serve).await;
    for path in [
        "/",
        "/koodrive",
        "/koodrive/ose/v1/tasks/create",
        "/koodrive/ose/v1/task",
        "/koodrive/ose/v1/task/create/",
        "/koodrive/ose/v1/task/create/x",
        "/KOODRIVE/ose/v1/task/create",
        "/koodrive//ose/v1/task/create",
        "/%ff",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let answer = app.call(method, path).send().await;
            assert_eq!(answer.status, 404, "{method} {path}");
            assert_eq!(answer.body["code"], 13_000_101, "{method} {path}");
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn another_method_is_405_and_told_which_is_allowed() {
    let app = TestApp::dev().await;
    for method in ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
        let answer = app.call(method, CREATE).send().await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("Allow"), "POST", "{method}");
        assert_eq!(answer.body["code"], 13_000_101, "{method}");
    }
    app.stop().await;
}

#[tokio::test]
async fn head_is_answered_without_a_body() {
    let app = TestApp::dev().await;
    let request = format!("HEAD {CREATE} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let answer = exchange(app.address, request).await;
    assert_eq!((answer.status, answer.body.as_str()), (405, ""));
    assert!(answer.head.contains("\r\nallow: post"), "{answer:?}");
    app.stop().await;
}

#[tokio::test]
async fn a_query_is_ignored() {
    let app = TestApp::dev().await;
    let date = jiff::Timestamp::now();
    let call = app
        .call("POST", &format!("{CREATE}?taskType=7&x"))
        .header("X-User-Id", "u")
        .at(date)
        .body(TRANSFER);
    call.send().await.task_id();
    app.stop().await;
}

#[tokio::test]
async fn several_requests_are_answered_over_one_connection() {
    let app = TestApp::dev().await;
    let one = "GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n";
    let last = "GET /nowhere HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let answer = exchange(app.address, format!("{one}{one}{last}")).await;
    assert_eq!(answer.body.matches("HTTP/1.1 404").count(), 2);
    app.stop().await;
}
