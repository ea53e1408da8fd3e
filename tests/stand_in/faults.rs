//! Faults: what rules do to requests and connections.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::stand_in;
use crate::support::client::TRANSFER;
use crate::support::until;

async fn set(app: &crate::support::TestApp, rule: &str) {
    let set = app.control("POST", "rules", rule).await;
    assert_eq!(set.status, 200, "{set:?}");
}

#[tokio::test]
async fn of_fifty_clients_at_once_exactly_as_many_see_a_fault_as_was_said() {
    let app = stand_in("progress = 'manual'").await;
    set(
        &app,
        r#"{"match":{"call":"create"},"times":2,"then":{"status":503}}"#,
    )
    .await;
    let calls = (0..50).map(|_| app.create(TRANSFER).send());
    let answers = join_all(calls).await;
    let failed: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == 503)
        .collect();
    assert_eq!(failed.len(), 2);
    assert_eq!(failed[0].body["code"], 13_000_201);
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 200).count(),
        48
    );
}

#[tokio::test]
async fn every_status_has_the_body_of_an_error() {
    let app = stand_in("progress = 'manual'").await;
    for status in [401, 403, 404, 413, 429, 500, 503] {
        set(
            &app,
            &format!(r#"{{"times":1,"then":{{"status":{status}}}}}"#),
        )
        .await;
        let answer = app.create(TRANSFER).send().await;
        assert_eq!(answer.status, status);
        assert!(answer.body["code"].is_u64() && answer.body["msg"].is_string());
    }
    let tasks = app.control("GET", "tasks", "").await.body;
    assert_eq!(tasks["tasks"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn a_connection_reset_after_the_effect_leaves_the_task_and_the_retry_gets_it() {
    let app = stand_in("progress = 'manual'").await;
    set(
        &app,
        r#"{"match":{"call":"create"},"then":{"drop":"after"}}"#,
    )
    .await;
    let create = app.create(TRANSFER).header("Idempotency-Key", "one");
    let error = create.clone().try_send().await.unwrap_err();
    let mut cause: &dyn std::error::Error = &error;
    let mut told = cause.to_string();
    while let Some(next) = cause.source() {
        cause = next;
        told.push_str(&format!(": {cause}"));
    }
    assert!(told.to_lowercase().contains("reset"), "{told}");
    let tasks = app.control("GET", "tasks", "").await.body;
    let id = tasks["tasks"][0]["id"].as_str().unwrap().to_owned();
    let retried = create.send().await;
    assert_eq!(retried.task_id().to_string(), id);
}

#[tokio::test]
async fn a_connection_reset_before_the_effect_leaves_nothing() {
    let app = stand_in("progress = 'manual'").await;
    set(&app, r#"{"times":1,"then":{"drop":"before"}}"#).await;
    app.create(TRANSFER).try_send().await.unwrap_err();
    let tasks = app.control("GET", "tasks", "").await.body;
    assert_eq!(tasks["tasks"].as_array().unwrap().len(), 0);
    app.create(TRANSFER).send().await.task_id();
}

#[tokio::test]
async fn an_answer_that_is_cut_short_is_no_answer() {
    let app = stand_in("progress = 'manual'").await;
    set(&app, r#"{"times":1,"then":{"truncate":10}}"#).await;
    app.create(TRANSFER).try_send().await.unwrap_err();
    app.create(TRANSFER).send().await.task_id();
}

#[tokio::test]
async fn a_reset_ends_delays_and_hanging_requests_at_once() {
    for then in [r#"{"delay":"30s"}"#, r#"{"hang":true}"#] {
        let app = stand_in("progress = 'manual'").await;
        set(&app, &format!(r#"{{"then":{then}}}"#)).await;
        let call = app.create(TRANSFER);
        let late = tokio::spawn(async move { call.try_send().await.is_ok() });
        until("the request is under way", async || {
            let journal = app.control("GET", "journal", "").await.body;
            !journal["entries"].as_array().unwrap().is_empty()
        })
        .await;
        assert!(!late.is_finished(), "{then}");
        let begun = Instant::now();
        app.control("POST", "reset", "").await;
        let answered = tokio::time::timeout(Duration::from_secs(5), late).await;
        assert_eq!(answered.unwrap().unwrap(), then.contains("delay"), "{then}");
        // Far from what it would have been; how near to nothing is the machine's.
        assert!(begun.elapsed() < Duration::from_secs(5));
        let journal = app.control("GET", "journal", "").await.body;
        assert_eq!(journal["entries"].as_array().unwrap().len(), 0);
    }
}

#[tokio::test]
async fn what_comes_before_a_reset_is_in_no_journal_after_it() {
    let app = stand_in("progress = 'manual'").await;
    app.create(TRANSFER).send().await.task_id();
    app.control("POST", "reset", "").await;
    app.create(TRANSFER).send().await.task_id();
    let journal = app.control("GET", "journal", "").await.body;
    assert_eq!(journal["entries"].as_array().unwrap().len(), 1);
    assert_eq!(journal["entries"][0]["seq"], 1);
}
