//! The keys of JWTs: of no use at the start, replaced while the service runs, and
//! what the log tells of tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::StatusCode;

use super::reload::{reload_until, serve, status};
use super::run;
use super::serve::Service;
use crate::support::client::{Call, TRANSFER};
use crate::support::jwt::{TestKey, claims, jwks, trust};
use crate::support::process::send_signal;
use crate::support::provider::Provider;
use crate::support::until;
use crate::support::volume::Volume;

/// A volume with a configuration that takes JWTs with the keys of a file beside it.
fn volume(keys: &str) -> Volume {
    let volume = Volume::new(&[]);
    put(&volume, keys);
    volume
}

/// Puts other keys there, in a file of the same time.
fn put(volume: &Volume, keys: &str) {
    let file = volume.path("jwks.json");
    let toml = trust(&format!("jwks_file = \"{}\"", file.display()));
    volume.swap(&[("kootask.toml", &toml), ("jwks.json", keys)]);
}

fn reload(service: &mut Service) -> serde_json::Value {
    reload_until(service, |message| message.starts_with("keys of auth.jwt"))
}

#[test]
fn a_broken_key_set_is_told_at_the_start_by_its_key() {
    let weak = r#"{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}"#;
    let key = TestKey::new("one");
    let repeated = jwks([&key, &TestKey::new("one")]);
    let many = format!("{{\"keys\": [{}]}}", ["{}"; 101].join(","));
    for (keys, why) in [
        ("", "no JSON Web Key Set"),
        ("[]", "no JSON Web Key Set"),
        (r#"{"keys": {}}"#, "no JSON Web Key Set"),
        (r#"{"keys": []}"#, "none of its keys can verify"),
        (weak, "none of its keys can verify"),
        (&repeated, "one kid"),
        (&many, "more than 100 keys"),
    ] {
        let volume = volume(keys);
        let file = volume.path("kootask.toml");
        let file = file.to_str().unwrap();
        for command in [&["serve"][..], &["config", "check"]] {
            let outcome = run(&[command, &["--config", file]].concat());
            assert_eq!(outcome.code, Some(1), "{keys}");
            let text = outcome.err + &outcome.out;
            assert!(text.contains("auth.jwt.jwks_file: "), "{text}");
            assert!(text.contains(why), "{text}");
            assert!(!text.contains("c2VjcmV0"), "{text}");
        }
    }
    let missing = volume("");
    std::fs::remove_file(missing.path("jwks.json")).unwrap();
    let file = missing.path("kootask.toml");
    let outcome = run(&["config", "check", "--config", file.to_str().unwrap()]);
    assert!(outcome.err.contains("auth.jwt.jwks_file: "), "{outcome:?}");
    assert!(outcome.err.contains("No such file"), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_replaced_under_load_and_nobody_is_turned_away() {
    let steady = Arc::new(TestKey::new("0"));
    let keys = ["1", "2", "3"].map(TestKey::new);
    let volume = volume(&jwks([&*steady, &keys[0]]));
    let service = serve(&volume);
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let call = Call::create(service.address, TRANSFER);
            let (steady, stop) = (Arc::clone(&steady), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut answered = 0;
                while !stop.load(Ordering::Relaxed) {
                    let call = call.clone().at(jiff::Timestamp::now());
                    let token = steady.token(&claims());
                    call.bearer(&token).send().await.task_id();
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    for (old, new) in keys.iter().zip(&keys[1..]) {
        assert_eq!(status(&service, &old.token(&claims())).await, 200);
        // As many bytes as before, of the same time, and no signal.
        put(&volume, &jwks([&*steady, new]));
        until("the new key is good", async || {
            status(&service, &new.token(&claims())).await == 200
        })
        .await;
        assert_eq!(status(&service, &old.token(&claims())).await, 401);
    }
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        assert!(caller.await.unwrap() > 0);
    }
    assert_eq!(service.end("TERM").0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_key_set_is_refused_and_reported_and_the_old_one_stays() {
    let (key, newer) = (TestKey::new("one"), TestKey::new("two"));
    let volume = volume(&jwks([&key]));
    let mut service = serve(&volume);
    let count = async |service: &Service, outcome: &str| {
        let series = format!("kootask_reloads_total{{what=\"jwks\",outcome=\"{outcome}\"}}");
        service.metric(&series).await
    };
    // That of the start.
    assert_eq!(count(&service, "loaded").await, 1.0);
    for broken in ["", "{\"keys\": [", "{\"keys\": []}"] {
        put(&volume, broken);
        assert_eq!(reload(&mut service)["level"], "ERROR");
        assert_eq!(status(&service, &key.token(&claims())).await, 200);
    }
    // More often, perhaps: the files are looked at without being asked, too.
    until("each refusal is counted", async || {
        count(&service, "refused").await >= 3.0
    })
    .await;
    assert_eq!(count(&service, "loaded").await, 1.0);
    put(&volume, &jwks([&newer]));
    assert_eq!(reload(&mut service)["keys"], 1);
    until("the new keys are counted", async || {
        count(&service, "loaded").await >= 2.0
    })
    .await;
    assert_eq!(status(&service, &newer.token(&claims())).await, 200);
    assert_eq!(status(&service, &key.token(&claims())).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_start_does_not_depend_on_the_provider_and_its_last_keys_stay() {
    let key = TestKey::new("one");
    let provider = Provider::start(StatusCode::BAD_GATEWAY, "").await;
    let volume = Volume::new(&[("kootask.toml", &trust(&provider.setting()))]);
    let mut service = serve(&volume);
    assert_eq!(status(&service, &key.token(&claims())).await, 503);
    provider.answer(StatusCode::OK, &jwks([&key]));
    while reload(&mut service)["level"] == "ERROR" {}
    assert_eq!(status(&service, &key.token(&claims())).await, 200);
    provider.answer(StatusCode::BAD_GATEWAY, "");
    while reload(&mut service)["level"] != "ERROR" {}
    assert_eq!(status(&service, &key.token(&claims())).await, 200);
}

#[tokio::test]
async fn the_log_names_the_subject_and_never_the_token() {
    let (key, other) = (TestKey::new("one"), TestKey::new("one"));
    let volume = volume(&jwks([&key]));
    let mut service = serve(&volume);
    let (good, forged) = (key.token(&claims()), other.token(&claims()));
    let mut expired = claims();
    expired["exp"] = 1.into();
    let expired = key.token(&expired);
    let mut lines = String::new();
    for (token, credential, error) in [
        (&good, Some("jwt-alice"), None),
        (&expired, Some("jwt-alice"), Some("expired")),
        (&forged, None, Some("signature is wrong")),
    ] {
        status(&service, token).await;
        let line = service.line(|line| line["message"] == "request");
        assert_eq!(line["credential"].as_str(), credential, "{line}");
        let told = line["error"].as_str().unwrap_or_default();
        assert!(told.contains(error.unwrap_or_default()), "{line}");
        lines.push_str(&line.to_string());
    }
    lines.push_str(&service.end("TERM").1);
    for token in [good, expired, forged] {
        for part in token.split('.').skip(1) {
            assert!(!lines.contains(part), "{lines}");
        }
    }
}

#[tokio::test]
async fn where_the_configuration_takes_jwts_alone_it_is_enough() {
    let key = TestKey::new("one");
    let volume = volume(&jwks([&key]));
    let mut service = serve(&volume);
    // Without the issuer nobody could call after the next start.
    volume.swap(&[("kootask.toml", "")]);
    send_signal(&service.child, "HUP");
    let refused = service.line(|line| line["message"].as_str().unwrap().contains("not reloaded"));
    assert!(refused["error"].as_str().unwrap().contains("no credential"));
    assert_eq!(status(&service, &key.token(&claims())).await, 200);
}
