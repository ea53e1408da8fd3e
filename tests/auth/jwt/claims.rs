//! What a token must say.

use jiff::SignedDuration;
use kootask::config::Defaults;
use serde_json::{Value, json};

use super::Trusting;
use crate::support::TestApp;
use crate::support::client::{TRANSFER, USER};
use crate::support::clock::{START, TestClock};
use crate::support::jwt::{AUDIENCE, ISSUER, TestKey, claims, claims_with, jwks, trust};

/// Has tokens refused in which this claim is one of these; null leaves it out.
async fn refuses(name: &str, values: impl IntoIterator<Item = Value>) {
    let key = TestKey::new("one");
    let service = Trusting::of([&key]).await;
    for value in values {
        let token = key.token(&claims_with(name, value.clone()));
        service.refuses([(value.to_string().as_str(), token)]).await;
    }
    assert_eq!(service.status(&key.token(&claims())).await, 200);
    service.stop().await;
}

#[tokio::test]
async fn a_token_is_good_from_its_beginning_to_its_end_but_for_the_clock_skew() {
    let key = TestKey::new("one");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, jwks([&key])).unwrap();
    let toml = trust(&format!("jwks_file = \"{}\"", file.display()));
    let clock = TestClock::new();
    let app = TestApp::start_at(&toml, Defaults::Serve, clock.clone()).await;
    let start: jiff::Timestamp = START.parse().unwrap();
    let mut claims = claims();
    claims["nbf"] = (start.as_second() + 65).into();
    claims["exp"] = (start.as_second() + 120).into();
    let token = key.token(&claims);
    let status = async || {
        let call = app.create(TRANSFER).at(start).bearer(&token);
        call.send().await.status.as_u16()
    };
    // The skew is 5 s: good from second 60 to second 125.
    for (after, expected) in [(0, 401), (59_999, 401), (1, 200), (64_999, 200), (1, 401)] {
        clock.advance(SignedDuration::from_millis(after));
        assert_eq!(status().await, expected, "after {after} ms more");
    }
    app.stop().await;
}

#[tokio::test]
async fn an_expired_token_is_401() {
    let now = jiff::Timestamp::now().as_second();
    let ends = [now - 3600, now - 6, 0, -1].map(Value::from);
    refuses("exp", ends.into_iter().chain([json!(-1e300)])).await;
}

#[tokio::test]
async fn a_token_that_is_not_yet_valid_is_401() {
    let now = jiff::Timestamp::now().as_second();
    refuses("nbf", [json!(now + 60), json!(1e300), json!("soon")]).await;
}

#[tokio::test]
async fn a_token_without_an_end_is_401() {
    refuses(
        "exp",
        [
            json!(null),
            json!("2999-01-01T00:00:00Z"),
            json!("99999999999"),
            json!([]),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_token_of_another_issuer_is_401() {
    let others = [
        json!(null),
        json!("https://login.example.com"),
        json!("HTTPS://LOGIN.EXAMPLE.COM/"),
        json!("https://login.example.com/ "),
        json!([ISSUER]),
        json!({ISSUER: ISSUER}),
        json!(""),
    ];
    refuses("iss", others).await;
}

#[tokio::test]
async fn a_token_for_another_audience_is_401() {
    let others = [
        json!(null),
        json!("another-service"),
        json!(["another-service", "a-third"]),
        json!([]),
        json!(""),
        json!({AUDIENCE: AUDIENCE}),
        json!([AUDIENCE, 5]),
        json!(format!("{AUDIENCE}-2")),
    ];
    refuses("aud", others).await;
}

#[tokio::test]
async fn a_token_for_several_audiences_may_be_for_this_one_too() {
    let key = TestKey::new("one");
    let service = Trusting::of([&key]).await;
    let token = key.token(&claims_with("aud", json!(["another-service", AUDIENCE])));
    assert_eq!(service.status(&token).await, 200);
    service.stop().await;
}

#[tokio::test]
async fn a_token_whose_tenant_is_absent_no_text_or_malformed_is_401() {
    let values = [
        json!(null),
        json!(""),
        json!(5),
        json!(true),
        json!(["acme"]),
        json!({"id": "acme"}),
        json!("two words"),
        json!("acme/../other"),
        json!("*"),
        json!("acmé"),
        json!("a".repeat(65)),
    ];
    refuses("tenant", values).await;
}

#[tokio::test]
async fn a_token_without_a_subject_is_401() {
    refuses("sub", [json!(null), json!(""), json!(5), json!(["alice"])]).await;
}

#[tokio::test]
async fn a_token_with_a_claim_twice_is_401() {
    let key = TestKey::new("one");
    let service = Trusting::of([&key]).await;
    for (name, other) in [
        ("tenant", json!("another")),
        ("tenant", json!("acme")),
        ("exp", json!(99_999_999_999_i64)),
        ("iss", json!(ISSUER)),
        ("aud", json!(AUDIENCE)),
        ("sub", json!("bob")),
    ] {
        let twice = claims()
            .to_string()
            .replacen('{', &format!("{{\"{name}\":{other},"), 1);
        let token = key.token_of(&key.header(), &twice);
        service.refuses([(name, token)]).await;
    }
    for payload in ["null", "[]", "\"text\"", "{}", "", "{\"iss\":", "5"] {
        let token = key.token_of(&key.header(), payload);
        service.refuses([(payload, token)]).await;
    }
    service.stop().await;
}

#[tokio::test]
async fn a_token_that_names_a_user_may_not_act_as_another() {
    let key = TestKey::new("one");
    let bound = "user_claim = \"user\"\n";
    let service = Trusting::start(&jwks([&key]), bound, Defaults::Serve).await;
    let token = key.token(&claims_with("user", json!(USER)));
    service.call(&token).send().await.task_id();
    for another in ["another", &USER[1..]] {
        let call = service.call(&token).header("X-User-Id", another);
        let answer = call.send().await;
        assert_eq!(answer.status, 403, "{another}");
        assert_eq!(answer.body["code"], 13_000_101);
    }
    let number: i64 = USER.parse().unwrap();
    for value in [json!(null), json!(""), json!(number), json!([USER])] {
        let token = key.token(&claims_with("user", value.clone()));
        service.refuses([(value.to_string().as_str(), token)]).await;
    }
    service.stop().await;
}

#[tokio::test]
async fn a_subject_that_is_no_id_is_told_by_its_digest() {
    let key = TestKey::new("one");
    let service = Trusting::of([&key]).await;
    for subject in [
        "alice@example.com",
        "auth0|5f7c8ec7c33c6c004bbafe82",
        &"x".repeat(5000),
    ] {
        let token = key.token(&claims_with("sub", json!(subject)));
        let id = service.call(&token).send().await.task_id();
        let name = service.app.kept("acme", id).await.created_by.unwrap();
        let digest = name.as_str().strip_prefix("jwt_").unwrap();
        assert_eq!(digest.len(), 32, "{name}");
        assert!(!name.as_str().contains("alice"));
    }
    service.stop().await;
}
