//! The order of the checks: the headers' form, the credential, the body.

use kootask::config::Defaults;

use crate::support::TestApp;
use crate::support::client::{Answer, Call, TRANSFER};
use crate::support::credentials::token;

async fn app() -> TestApp {
    TestApp::start(&token("good", "acme"), Defaults::Serve).await
}

/// A call in which everything is wrong.
fn all_wrong(app: &TestApp) -> Call {
    app.create("no json")
        .header("Content-Type", "text/plain")
        .header("X-User-Id", "not one")
        .header("X-Date", "never")
        .bearer("bad")
}

#[track_caller]
fn assert_is(answer: &Answer, status: u16, msg: &str) {
    assert_eq!(
        (answer.status.as_u16(), &answer.body["msg"]),
        (status, &msg.into())
    );
}

#[tokio::test]
async fn headers_then_credential_then_body() {
    let app = app().await;
    let call = all_wrong(&app);
    assert_is(&call.clone().send().await, 400, "Invalid parameters.");
    let call = call.header("X-User-Id", "user");
    assert_is(&call.clone().send().await, 400, "Invalid parameters.");
    let call = call.at(jiff::Timestamp::now());
    assert_is(&call.clone().send().await, 401, "Authentication failed.");
    let call = call.bearer("good");
    assert_is(
        &call.clone().send().await,
        415,
        "The body must be application/json.",
    );
    let call = call.header("Content-Type", "application/json");
    assert_is(
        &call.clone().send().await,
        400,
        "The body is not valid JSON.",
    );
    let call = call.body("{}");
    assert_is(&call.clone().send().await, 400, "Invalid parameters.");
    call.body(TRANSFER).send().await.task_id();
    app.stop().await;
}

#[tokio::test]
async fn a_header_out_of_form_is_told_before_the_date_is_found_too_old() {
    let app = app().await;
    let call = app
        .create(TRANSFER)
        .header("X-Date", "20200101T000000Z")
        .bearer("good");
    assert_is(
        &call.clone().header("X-User-Id", "a b").send().await,
        400,
        "Invalid parameters.",
    );
    assert_is(&call.send().await, 401, "Authentication failed.");
    app.stop().await;
}

#[tokio::test]
async fn a_malformed_trace_id_is_told_before_the_credential_is_judged() {
    let app = app().await;
    let answer = app
        .create(TRANSFER)
        .bearer("bad")
        .header("X-Traceid", "a b")
        .send()
        .await;
    assert_is(&answer, 400, "Invalid parameters.");
    app.stop().await;
}

#[tokio::test]
async fn who_may_not_call_learns_nothing_of_the_body() {
    let app = app().await;
    for body in ["", "[]", "{}", TRANSFER] {
        let answer = app.create(body).send().await;
        assert_is(&answer, 401, "Authentication failed.");
        assert_eq!(answer.body.get("details"), None);
    }
    app.stop().await;
}

#[tokio::test]
async fn a_large_body_of_a_stranger_is_401_unless_it_must_be_read_to_know() {
    let app = app().await;
    let large = "x".repeat(64 * 1024);
    assert_eq!(app.create(&large).bearer("bad").send().await.status, 401);
    assert_eq!(
        app.create(&large)
            .signed("stranger", "secret-of-the-console")
            .send()
            .await
            .status,
        413
    );
    app.stop().await;
}
