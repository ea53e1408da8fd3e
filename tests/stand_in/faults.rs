//! Faults: what rules do to requests and connections.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;

use super::{stand_in, takes_at_most};
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
async fn every_status_has_the_body_that_the_service_gives_it() {
    let app = stand_in("progress = 'manual'").await;
    for (status, code, text, header) in [
        (
            401,
            13_000_101,
            "Authentication failed.",
            "WWW-Authenticate",
        ),
        (403, 13_000_101, "Not allowed to act as this user.", ""),
        (404, 13_000_309, "The task does not exist.", ""),
        (413, 13_000_101, "The body is too large.", ""),
        (
            429,
            13_000_101,
            "Too many requests. Try again later.",
            "Retry-After",
        ),
        (500, 13_000_201, "Internal error.", ""),
        (
            503,
            13_000_201,
            "The service is temporarily unavailable. Try again.",
            "Retry-After",
        ),
    ] {
        let calls = [
            app.create(TRANSFER),
            app.read("/koodrive/ose/v1/task/list"),
            app.read("/koodrive/ose/v1/task/1"),
            app.read("/koodrive/ose/v1/task/result"),
            app.read("/koodrive/ose/v1/task/dstUserInfo/1"),
        ];
        let rule = format!(
            r#"{{"times":{},"then":{{"status":{status}}}}}"#,
            calls.len()
        );
        set(&app, &rule).await;
        for call in calls {
            let answer = call.header("language", "en-us").send().await;
            assert_eq!(answer.status, status);
            assert_eq!(answer.header("Content-Type"), "application/json");
            assert_eq!(answer.body, json!({"code": code, "msg": text}));
            assert!(header.is_empty() || answer.headers.contains_key(header));
        }
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
async fn a_reset_ends_delays_and_hanging_requests_within_100_ms() {
    for then in [r#"{"delay":"30s"}"#, r#"{"hang":true}"#] {
        let app = stand_in("progress = 'manual'").await;
        takes_at_most(Duration::from_millis(100), async || {
            set(&app, &format!(r#"{{"then":{then}}}"#)).await;
            let call = app.create(TRANSFER);
            let late = tokio::spawn(async move {
                let is_answered = call.try_send().await.is_ok();
                (is_answered, Instant::now())
            });
            until("the request is under way", async || {
                let journal = app.control("GET", "journal", "").await.body;
                !journal["entries"].as_array().unwrap().is_empty()
            })
            .await;
            assert!(!late.is_finished(), "{then}");
            let begun = Instant::now();
            app.control("POST", "reset", "").await;
            let ended = tokio::time::timeout(Duration::from_secs(20), late).await;
            let (is_answered, ended) = ended.unwrap().unwrap();
            assert_eq!(is_answered, then.contains("delay"), "{then}");
            let journal = app.control("GET", "journal", "").await.body;
            assert_eq!(journal["entries"].as_array().unwrap().len(), 0);
            ended.saturating_duration_since(begun)
        })
        .await;
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
