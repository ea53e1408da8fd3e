//! `X-User-Id` and `X-Date`: their form, and the window of the latter.

use jiff::{SignedDuration, Timestamp};
use kootask::config::Defaults;
use kootask::task::clock::Clock;
use serde_json::json;

use crate::support::TestApp;
use crate::support::client::{Answer, TRANSFER};
use crate::support::clock::TestClock;

#[track_caller]
fn assert_details(answer: &Answer, details: serde_json::Value) {
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(answer.body["code"], 13_000_102);
    assert_eq!(answer.body["details"], details);
}

#[tokio::test]
async fn a_missing_user_id_is_refused() {
    let app = TestApp::dev().await;
    let required = json!([{"field": "X-User-Id", "reason": "is required"}]);
    assert_details(
        &app.create(TRANSFER).without("X-User-Id").send().await,
        required.clone(),
    );
    assert_details(
        &app.create(TRANSFER).header("X-User-Id", "").send().await,
        required,
    );
    app.stop().await;
}

#[tokio::test]
async fn a_malformed_user_id_is_refused() {
    let app = TestApp::dev().await;
    let why = "must be 1 to 64 characters of A-Z a-z 0-9 _ -";
    for value in ["a b", "a,b", "é", "用户", &"x".repeat(65)] {
        let answer = app.create(TRANSFER).header("X-User-Id", value).send().await;
        assert_details(&answer, json!([{"field": "X-User-Id", "reason": why}]));
    }
    for value in ["a", "_-", &"x".repeat(64), "  padded  "] {
        app.create(TRANSFER)
            .header("X-User-Id", value)
            .send()
            .await
            .task_id();
    }
    app.stop().await;
}

#[tokio::test]
async fn a_missing_date_is_refused() {
    let app = TestApp::dev().await;
    let required = json!([{"field": "X-Date", "reason": "is required"}]);
    assert_details(
        &app.create(TRANSFER).without("X-Date").send().await,
        required.clone(),
    );
    assert_details(
        &app.create(TRANSFER).header("X-Date", " ").send().await,
        required,
    );
    app.stop().await;
}

#[tokio::test]
async fn a_malformed_date_is_refused() {
    let app = TestApp::dev().await;
    let why = "must be a UTC time in the form YYYYMMDD'T'HHMMSS'Z'";
    for value in [
        "20251103T070140",
        "20251103t070140z",
        "2025-11-03T07:01:40Z",
        "20251103T070140+0800",
        "20251303T070140Z",
        "20250230T070140Z",
        "20251103T240000Z",
        "20251103T076040Z",
        "Mon, 03 Nov 2025 07:01:40 GMT",
        "1762153300",
        "昨天",
    ] {
        let answer = app.create(TRANSFER).header("X-Date", value).send().await;
        assert_details(&answer, json!([{"field": "X-Date", "reason": why}]));
    }
    app.stop().await;
}

#[tokio::test]
async fn a_header_that_is_given_twice_is_refused() {
    let app = TestApp::dev().await;
    for name in ["X-User-Id", "X-Date", "X-Traceid"] {
        let call = app.create(TRANSFER).header("X-Traceid", "t");
        let call = match name {
            "X-Date" => call.and_header(name, "20251103T070140Z"),
            _ => call.and_header(name, "t"),
        };
        let reason = "must be given only once";
        assert_details(
            &call.send().await,
            json!([{"field": name, "reason": reason}]),
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn every_headers_violation_is_reported_at_once() {
    let app = TestApp::dev().await;
    let call = app
        .create(TRANSFER)
        .without("X-User-Id")
        .header("X-Date", "today")
        .header("X-Traceid", "two words");
    let answer = call.send().await;
    assert_details(
        &answer,
        json!([
            {"field": "X-User-Id", "reason": "is required"},
            {"field": "X-Date", "reason": "must be a UTC time in the form YYYYMMDD'T'HHMMSS'Z'"},
            {"field": "X-Traceid", "reason": "must be 1 to 128 visible ASCII characters"},
        ]),
    );
    app.stop().await;
}

/// The status of a call dated `offset` seconds from the service's now.
async fn dated(app: &TestApp, now: Timestamp, offset: i64) -> u16 {
    let date = now + SignedDuration::from_secs(offset);
    app.create(TRANSFER).at(date).send().await.status.as_u16()
}

#[tokio::test]
async fn a_date_may_be_fifteen_minutes_old_and_five_seconds_ahead() {
    let clock = TestClock::new();
    let app = TestApp::start_at("", Defaults::Dev, clock.clone()).await;
    let now = clock.now();
    for offset in [-900, -1, 0, 5] {
        assert_eq!(dated(&app, now, offset).await, 200, "{offset}");
    }
    for offset in [-901, -86_400, 6, 86_400] {
        assert_eq!(dated(&app, now, offset).await, 401, "{offset}");
    }
    app.stop().await;
}

#[tokio::test]
async fn the_tolerance_for_the_future_is_configurable() {
    let clock = TestClock::new();
    let now = clock.now();
    let strict = "[auth]\nclock_skew = \"0s\"";
    let app = TestApp::start_at(strict, Defaults::Dev, clock.clone()).await;
    assert_eq!(dated(&app, now, 0).await, 200);
    assert_eq!(dated(&app, now, 1).await, 401);
    app.stop().await;

    let lax = "[auth]\nclock_skew = \"2m\"";
    let app = TestApp::start_at(lax, Defaults::Dev, clock).await;
    assert_eq!(dated(&app, now, 120).await, 200);
    assert_eq!(dated(&app, now, 121).await, 401);
    assert_eq!(dated(&app, now, -901).await, 401, "it is not for the past");
    app.stop().await;
}

#[tokio::test]
async fn a_date_outside_its_window_is_named_with_the_servers_time() {
    let clock = TestClock::at("2025-11-03T07:01:40Z");
    let app = TestApp::start_at("", Defaults::Dev, clock).await;
    for date in ["20251103T060140Z", "20251103T080140Z"] {
        let call = app.create(TRANSFER).header("X-Date", date);
        let answer = call.send().await;
        assert_eq!(answer.status, 401);
        assert_eq!(
            answer.body["details"],
            json!([{
                "field": "X-Date",
                "reason": "must be at most 15 minutes old and not in the future; \
                           it is 20251103T070140Z here",
            }])
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn a_request_ages_with_the_clock() {
    let clock = TestClock::new();
    let app = TestApp::start_at("", Defaults::Dev, clock.clone()).await;
    let call = app.create(TRANSFER).at(clock.now());
    clock.advance(SignedDuration::from_secs(900));
    call.clone().send().await.task_id();
    clock.advance(SignedDuration::from_millis(1));
    assert_eq!(call.send().await.status, 401);
    app.stop().await;
}
