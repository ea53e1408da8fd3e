//! Bearer tokens: their spellings and their rights.

use jiff::SignedDuration;
use kootask::config::Defaults;

use crate::support::TestApp;
use crate::support::client::{TRANSFER, USER};
use crate::support::clock::{START, TestClock};
use crate::support::credentials::token;

/// The status of a create call with this `Authorization`.
async fn status(app: &TestApp, authorization: &str) -> u16 {
    let call = app.create(TRANSFER).header("Authorization", authorization);
    call.send().await.status.as_u16()
}

#[tokio::test]
async fn every_spelling_of_a_token_is_taken() {
    let app = TestApp::start(&token("ABC.d-e_f~g+h/i==", "acme"), Defaults::Serve).await;
    for scheme in [
        "Bearer+",
        "Bearer ",
        "bearer ",
        "BEARER ",
        "bearer+",
        "Bearer   ",
        "",
    ] {
        let authorization = format!("{scheme}ABC.d-e_f~g+h/i==");
        assert_eq!(status(&app, &authorization).await, 200, "{authorization}");
    }
    app.stop().await;
}

#[tokio::test]
async fn an_unknown_token_is_401() {
    let app = TestApp::start(&token("good", "acme"), Defaults::Serve).await;
    for authorization in [
        "Bearer bad",
        "Bearer goo",
        "Bearer good1",
        "Bearer GOOD",
        "bad",
        "Bearer",
        "Bearer ",
        "Bearer+",
        "Basic good",
        "Bearer good good",
        "Bearer good,",
        "Token good",
        "",
        "Bearer é",
        "Bearer good, Bearer good",
        "HMAC-SHA256 good",
        "HMAC-SHA256+good",
    ] {
        assert_eq!(status(&app, authorization).await, 401, "{authorization}");
    }
    app.stop().await;
}

#[tokio::test]
async fn two_credentials_are_401_even_if_both_are_good() {
    let app = TestApp::start(&token("good", "acme"), Defaults::Serve).await;
    let call = app
        .create(TRANSFER)
        .bearer("good")
        .and_header("Authorization", "Bearer good");
    assert_eq!(call.send().await.status, 401);
    app.stop().await;
}

#[tokio::test]
async fn the_digest_of_a_token_is_no_token() {
    let config = token("good", "acme");
    let digest = config.split('"').nth(1).unwrap().to_owned();
    let app = TestApp::start(&config, Defaults::Serve).await;
    assert_eq!(status(&app, &format!("Bearer {digest}")).await, 401);
    app.stop().await;
}

#[tokio::test]
async fn a_token_bound_to_a_user_may_not_act_as_another() {
    let bound = token("bound", "acme") + &format!("user_id = \"{USER}\"");
    let app = TestApp::start(&bound, Defaults::Serve).await;
    let call = app.create(TRANSFER).bearer("bound");
    call.clone().send().await.task_id();
    for another in ["another", &USER[1..], &USER.replace('1', "2")] {
        let answer = call.clone().header("X-User-Id", another).send().await;
        assert_eq!(answer.status, 403, "{another}");
        assert_eq!(answer.body["code"], 13_000_101);
    }
    app.stop().await;
}

#[tokio::test]
async fn a_token_is_good_until_it_expires() {
    let clock = TestClock::new();
    let expiring = token("brief", "acme") + "expires_at = \"2025-11-03T07:02:40Z\"";
    let app = TestApp::start_at(&expiring, Defaults::Serve, clock.clone()).await;
    let call = app
        .create(TRANSFER)
        .at(START.parse().unwrap())
        .bearer("brief");
    call.clone().send().await.task_id();
    clock.advance(SignedDuration::from_millis(59_999));
    call.clone().send().await.task_id();
    clock.advance(SignedDuration::from_millis(1));
    assert_eq!(call.clone().send().await.status, 401);
    clock.advance(SignedDuration::from_mins(5));
    assert_eq!(call.send().await.status, 401);
    app.stop().await;
}

#[tokio::test]
async fn an_expired_token_of_another_user_is_401_not_403() {
    let expired = token("old", "acme") + "user_id = \"x\"\nexpires_at = \"2020-01-01T00:00:00Z\"";
    let app = TestApp::start(&expired, Defaults::Serve).await;
    assert_eq!(status(&app, "Bearer old").await, 401);
    app.stop().await;
}

#[tokio::test]
async fn the_stand_in_takes_any_well_formed_token_or_none() {
    let app = TestApp::dev().await;
    for authorization in ["Bearer+dsadasd4ad83c8f", "Bearer x", "ABCDEFG"] {
        assert_eq!(status(&app, authorization).await, 200, "{authorization}");
    }
    app.create(TRANSFER)
        .without("Authorization")
        .send()
        .await
        .task_id();
    app.stop().await;
}

#[tokio::test]
async fn the_stand_in_refuses_what_is_no_token() {
    let app = TestApp::dev().await;
    for authorization in [
        "Bearer two words",
        "Basic dXNlcg==",
        "Bearer a,b",
        "Bearer é",
        "Bearer =",
        "\"quoted\"",
        "Bearer",
        "Bearer+",
        "HMAC-SHA256",
        "HMAC-SHA256 x",
    ] {
        assert_eq!(status(&app, authorization).await, 401, "{authorization}");
    }
    app.stop().await;
}

#[tokio::test]
async fn the_stand_in_holds_a_configured_token_to_its_rights() {
    let bound = token("bound", "acme") + "user_id = \"somebody\"\n";
    let expired = token("old", "acme") + "expires_at = 2020-01-01T00:00:00Z\n";
    let app = TestApp::start(&(bound + &expired), Defaults::Dev).await;
    assert_eq!(status(&app, "Bearer bound").await, 403);
    assert_eq!(status(&app, "Bearer old").await, 401);
    app.stop().await;
}
