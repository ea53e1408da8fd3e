//! Keys at a URL.

use axum::http::StatusCode;
use jiff::SignedDuration;
use kootask::config::Defaults;

use crate::support::client::TRANSFER;
use crate::support::clock::TestClock;
use crate::support::jwt::{TestKey, claims, jwks, trust};
use crate::support::provider::Provider;
use crate::support::{TestApp, until};

async fn trusting(provider: &Provider) -> TestApp {
    TestApp::start(&trust(&provider.setting()), Defaults::Serve).await
}

async fn status(app: &TestApp, token: &str) -> u16 {
    let call = app.create(TRANSFER).bearer(token);
    call.send().await.status.as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_token_waits_for_the_keys() {
    let key = TestKey::new("one");
    let provider = Provider::start(StatusCode::OK, &jwks([&key])).await;
    let app = trusting(&provider).await;
    assert_eq!(status(&app, &key.token(&claims())).await, 200);
    assert_eq!(provider.asked(), 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_unknown_keys_do_not_lead_to_the_provider() {
    let (key, other) = (TestKey::new("one"), TestKey::new("two"));
    let provider = Provider::start(StatusCode::OK, &jwks([&key])).await;
    let app = trusting(&provider).await;
    assert_eq!(status(&app, &key.token(&claims())).await, 200);
    for _ in 0..20 {
        assert_eq!(status(&app, &other.token(&claims())).await, 401);
    }
    assert_eq!(provider.asked(), 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_new_key_leads_to_the_provider_after_a_while_and_is_taken() {
    let [key, newer, other] = ["one", "two", "three"].map(TestKey::new);
    let provider = Provider::start(StatusCode::OK, &jwks([&key])).await;
    let clock = TestClock::at(&jiff::Timestamp::now().to_string());
    let toml = trust(&provider.setting());
    let app = TestApp::start_at(&toml, Defaults::Serve, clock.clone()).await;
    assert_eq!(status(&app, &key.token(&claims())).await, 200);
    provider.answer(StatusCode::OK, &jwks([&key, &newer]));
    assert_eq!(status(&app, &newer.token(&claims())).await, 401);
    assert_eq!(provider.asked(), 1);
    clock.advance(SignedDuration::from_secs(30));
    assert_eq!(status(&app, &newer.token(&claims())).await, 200);
    assert_eq!(status(&app, &key.token(&claims())).await, 200);
    for _ in 0..20 {
        assert_eq!(status(&app, &other.token(&claims())).await, 401);
    }
    assert_eq!(provider.asked(), 2);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_a_token_of_the_issuer_is_503_and_any_other_401() {
    let key = TestKey::new("one");
    for (status_code, body) in [
        (StatusCode::INTERNAL_SERVER_ERROR, jwks([&key])),
        (StatusCode::FOUND, jwks([&key])),
        (StatusCode::OK, "{}".to_owned()),
        (StatusCode::OK, " ".repeat(300_000) + &jwks([&key])),
    ] {
        let provider = Provider::start(status_code, &body).await;
        let app = trusting(&provider).await;
        let call = app.create(TRANSFER).bearer(&key.token(&claims()));
        let answer = call.send().await;
        assert_eq!(answer.status, 503, "{status_code}");
        assert_eq!(answer.header("retry-after"), "1");
        assert_eq!(status(&app, "another-token").await, 401);
        // No redirection was followed.
        assert_eq!(provider.asked(), 1);
        app.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_never_answers_holds_up_nobody_elses_request_nor_the_end() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("jwks_url = \"http://{}/\"", silent.local_addr().unwrap());
    let known = crate::support::credentials::token("known", "acme");
    let toml = trust(&url) + &known;
    let app = TestApp::start(&toml, Defaults::Serve).await;
    let started = std::time::Instant::now();
    assert_eq!(status(&app, "known").await, 200);
    app.stop().await;
    assert!(started.elapsed().as_secs() < 4, "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_asks_by_itself_once_it_runs() {
    let provider = Provider::start(StatusCode::OK, "{}").await;
    let app = trusting(&provider).await;
    until("the provider is asked", async || provider.asked() == 1).await;
    app.stop().await;
}
