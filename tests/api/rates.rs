//! The rate of a credential.

use kootask::config::Defaults;

use crate::support::TestApp;
use crate::support::client::TRANSFER;
use crate::support::credentials::{app as app_entry, token};

const SECRET: &str = "secret-of-the-console";

async fn app() -> TestApp {
    let config = [
        "[limits]\nrequests_per_second = 1\nburst = 2\n",
        &token("one", "acme"),
        &token("other", "acme"),
        &app_entry("console", SECRET, "acme"),
    ];
    TestApp::start(&config.concat(), Defaults::Serve).await
}

#[tokio::test]
async fn a_credential_beyond_its_rate_is_429_and_told_when_to_come_back() {
    let app = app().await;
    let mut answers = Vec::new();
    for _ in 0..20 {
        answers.push(app.create(TRANSFER).bearer("one").send().await);
    }
    let refused = answers.iter().find(|answer| answer.status != 200);
    let refused = refused.expect("a request too many");
    assert_eq!(refused.status, 429);
    assert_eq!(refused.body["code"], 13_000_101);
    assert_eq!(refused.header("Retry-After"), "1");
    assert_eq!(answers[..2].iter().filter(|a| a.status == 200).count(), 2);
    // Reads count as well, whatever they say of themselves.
    let read = app.read("/koodrive/ose/v1/task/list").bearer("one");
    let mut refused = false;
    for number in 0..20 {
        let call = read.clone().header("X-User-Id", &format!("user-{number}"));
        let call = call.header("X-Forwarded-For", &format!("10.0.0.{number}"));
        refused |= call.send().await.status == 429;
    }
    assert!(refused);
    app.stop().await;
}

#[tokio::test]
async fn one_credential_uses_up_nobody_elses_rate() {
    let app = app().await;
    for _ in 0..20 {
        app.create(TRANSFER).bearer("one").send().await;
    }
    let other = app.create(TRANSFER).bearer("other");
    assert_eq!(other.send().await.status, 200);
    let signed = app.create(TRANSFER).signed("console", SECRET);
    assert_eq!(signed.send().await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn who_only_claims_to_be_a_credential_takes_nothing_of_its_rate() {
    let app = app().await;
    for _ in 0..20 {
        let forged = app.create(TRANSFER).signed("console", "another-secret");
        assert_eq!(forged.send().await.status, 401);
    }
    let signed = app.create(TRANSFER).signed("console", SECRET);
    assert_eq!(signed.send().await.status, 200);
    app.stop().await;
}
