//! `Content-Type`: JSON, said or unsaid.

use crate::support::TestApp;
use crate::support::client::TRANSFER;

#[tokio::test]
async fn no_content_type_is_one_of_json() {
    let app = TestApp::dev().await;
    app.create(TRANSFER)
        .without("Content-Type")
        .send()
        .await
        .task_id();
    app.stop().await;
}

#[tokio::test]
async fn json_is_taken_in_any_case_and_with_parameters() {
    let app = TestApp::dev().await;
    for value in [
        "application/json",
        "Application/JSON",
        "application/json;charset=utf-8",
        "application/json ; charset=UTF-8",
    ] {
        app.create(TRANSFER)
            .header("Content-Type", value)
            .send()
            .await
            .task_id();
    }
    app.stop().await;
}

#[tokio::test]
async fn any_other_type_is_415() {
    let app = TestApp::dev().await;
    for value in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
        "application/jsonp",
        "application/problem+json",
        "json",
        "*/*",
        "é",
    ] {
        let answer = app
            .create(TRANSFER)
            .header("Content-Type", value)
            .send()
            .await;
        assert_eq!(answer.status, 415, "{value}");
        assert_eq!(answer.body["code"], 13_000_101, "{value}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_second_type_beside_json_is_415() {
    let app = TestApp::dev().await;
    let call = app
        .create(TRANSFER)
        .and_header("Content-Type", "text/plain");
    assert_eq!(call.send().await.status, 415);
    app.stop().await;
}

#[tokio::test]
async fn an_empty_type_counts_as_absent() {
    let app = TestApp::dev().await;
    let call = app.create(TRANSFER).header("Content-Type", "");
    call.send().await.task_id();
    app.stop().await;
}

#[tokio::test]
async fn a_body_that_is_encoded_is_415_and_identity_is_none() {
    let app = TestApp::dev().await;
    for coding in ["identity", "Identity", "", "identity, identity"] {
        let call = app.create(TRANSFER).header("Content-Encoding", coding);
        call.send().await.task_id();
    }
    for coding in ["gzip", "br", "identity, gzip", "x"] {
        let call = app.create(TRANSFER).header("Content-Encoding", coding);
        let answer = call.send().await;
        assert_eq!(answer.status, 415, "{coding}");
        let msg = "The body must not be compressed or otherwise encoded.";
        assert_eq!(answer.body["msg"], msg, "{coding}");
    }
    app.stop().await;
}
