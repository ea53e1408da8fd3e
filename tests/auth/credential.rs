//! What a refused caller learns: that it is refused, and nothing else.

use std::collections::BTreeMap;

use kootask::config::Defaults;
use sha2::{Digest, Sha256};

use crate::support::TestApp;
use crate::support::client::{Answer, Call, TRANSFER};
use crate::support::credentials::{app as app_entry, token};

async fn app() -> TestApp {
    let expired = token("expired", "acme") + "expires_at = \"2020-01-01T00:00:00Z\"\n";
    let config =
        expired + &token("good", "acme") + &app_entry("console", "secret-of-the-console", "acme");
    TestApp::start(&config, Defaults::Serve).await
}

/// Calls that are each refused for another reason.
fn refused(app: &TestApp) -> Vec<(&'static str, Call)> {
    let call = || app.create(TRANSFER);
    vec![
        ("no credential", call()),
        ("unknown token", call().bearer("unknown")),
        ("expired token", call().bearer("expired")),
        ("malformed token", call().bearer("two words")),
        (
            "unknown scheme",
            call().header("Authorization", "Basic dXNlcg=="),
        ),
        ("wrong secret", call().signed("console", "wrong")),
        (
            "unknown app",
            call().signed("nobody", "secret-of-the-console"),
        ),
        (
            "changed body",
            call().signed("console", "secret-of-the-console").body("{}"),
        ),
        (
            "malformed signature",
            call().header("Authorization", "HMAC-SHA256 AppId=console"),
        ),
    ]
}

/// Calls that are too old, whatever their credential.
fn outdated(app: &TestApp) -> Vec<(&'static str, Call)> {
    let long_ago = "2020-01-01T00:00:00Z".parse().unwrap();
    let call = || app.create(TRANSFER).at(long_ago);
    vec![
        ("old date", call().bearer("good")),
        (
            "old date, signed",
            call().signed("console", "secret-of-the-console"),
        ),
        ("old date, wrong secret", call().signed("console", "wrong")),
        ("old date, no credential", call()),
    ]
}

/// All that an answer tells, but what is different in each answer, and whether
/// the body had to be read: that is for signatures alone, right or wrong.
fn told(answer: &Answer) -> (BTreeMap<String, Vec<u8>>, String) {
    let headers = answer
        .headers
        .iter()
        .filter(|(name, _)| !["x-traceid", "date", "connection"].contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect();
    (headers, answer.body.to_string())
}

#[tokio::test]
async fn the_answer_does_not_tell_what_was_wrong_with_a_credential() {
    let app = app().await;
    let mut first = None;
    for (why, call) in refused(&app) {
        let answer = call.send().await;
        assert_eq!(answer.status, 401, "{why}");
        let told = told(&answer);
        let expected = first.get_or_insert_with(|| told.clone());
        assert_eq!(&told, expected, "{why}");
    }
    app.stop().await;
}

#[tokio::test]
async fn an_old_date_is_told_whatever_the_credential() {
    let app = app().await;
    for (why, call) in outdated(&app) {
        let answer = call.send().await;
        assert_eq!(answer.status, 401, "{why}");
        assert_eq!(answer.body["details"][0]["field"], "X-Date", "{why}");
    }
    app.stop().await;
}

#[tokio::test]
async fn every_401_names_the_schemes_that_are_taken() {
    let app = app().await;
    for (why, call) in refused(&app).into_iter().chain(outdated(&app)) {
        let answer = call.send().await;
        let schemes: Vec<_> = answer.headers.get_all("www-authenticate").iter().collect();
        assert_eq!(
            schemes,
            ["Bearer realm=\"koodrive\"", "HMAC-SHA256"],
            "{why}"
        );
        assert_eq!(answer.body["code"], 13_000_101);
    }
    app.stop().await;
}

#[tokio::test]
async fn a_refused_call_creates_nothing() {
    let app = app().await;
    for (_, call) in refused(&app) {
        call.header("Idempotency-Key", "key").send().await;
    }
    // Had one of them been taken, the key would now stand for its body.
    let call = app.create(crate::support::client::IMPORT).bearer("good");
    call.header("Idempotency-Key", "key").send().await.task_id();
    app.stop().await;
}

#[tokio::test]
async fn a_task_keeps_the_name_of_the_credential_it_was_created_with() {
    let app = app().await;
    let call = || app.create(TRANSFER);
    let signed = call().signed("console", "secret-of-the-console");
    let by_app = signed.send().await.task_id();
    let by_token = call().bearer("good").send().await.task_id();
    let created_by = async |id| app.kept("acme", id).await.created_by.unwrap().to_string();
    assert_eq!(created_by(by_app).await, "console");
    let digest = hex::encode(Sha256::digest("good"));
    let name = created_by(by_token).await;
    assert_eq!(name, format!("token-{}", &digest[..8]));
    app.stop().await;
}
