//! Which key a token is verified with.

use kootask::config::Defaults;
use serde_json::{Value, json};

use super::Trusting;
use crate::support::jwt::{TestKey, claims, jwks};

/// The service with a set of JWKs.
async fn with(keys: &[Value]) -> Trusting {
    let set = json!({"keys": keys}).to_string();
    Trusting::start(&set, "", Defaults::Serve).await
}

#[tokio::test]
async fn an_unknown_kid_is_401() {
    let key = TestKey::new("one");
    let service = Trusting::of([&key]).await;
    for kid in [
        json!("two"),
        json!(""),
        json!("ONE"),
        json!("../one"),
        json!(1),
    ] {
        let mut header = key.header();
        header["kid"] = kid.clone();
        let token = key.token_of(&header, &claims().to_string());
        service.refuses([(kid.to_string().as_str(), token)]).await;
    }
    service.stop().await;
}

#[tokio::test]
async fn a_token_without_kid_is_taken_where_exactly_one_key_fits() {
    let (ec, rsa, other) = (
        TestKey::new("ec"),
        TestKey::of("RS256", "rsa"),
        TestKey::new("2"),
    );
    let unnamed = |key: &TestKey| {
        let header = json!({"alg": key.algorithm});
        key.token_of(&header, &claims().to_string())
    };
    let service = Trusting::of([&ec, &rsa]).await;
    assert_eq!(service.status(&unnamed(&ec)).await, 200);
    assert_eq!(service.status(&unnamed(&rsa)).await, 200);
    service.refuses([("another's", unnamed(&other))]).await;
    service.stop().await;

    let service = Trusting::of([&ec, &rsa, &other]).await;
    service.refuses([("one of two", unnamed(&ec))]).await;
    assert_eq!(service.status(&unnamed(&rsa)).await, 200);
    service.stop().await;
}

#[tokio::test]
async fn a_tokens_algorithm_must_be_one_of_its_keys() {
    let rsa = TestKey::of("RS256", "one");
    let pss = TestKey::of("PS256", "two");
    let ec = TestKey::new("three");
    let service = Trusting::of([&rsa, &pss, &ec]).await;
    for (key, algorithm) in [
        (&rsa, "PS256"),
        (&rsa, "RS512"),
        (&pss, "RS256"),
        (&ec, "RS256"),
        (&ec, "ES384"),
        (&ec, "EdDSA"),
        (&rsa, "ES256"),
    ] {
        let header = json!({"alg": algorithm, "kid": key.kid});
        let token = key.token_of(&header, &claims().to_string());
        service.refuses([(algorithm, token)]).await;
    }
    service.stop().await;
}

#[tokio::test]
async fn a_key_that_tells_no_algorithm_is_good_for_those_of_its_type() {
    let keys = [TestKey::of("PS384", "rsa"), TestKey::new("ec")];
    let jwks = keys.each_ref().map(|key| {
        let mut jwk = key.jwk();
        jwk.as_object_mut().unwrap().remove("alg");
        jwk.as_object_mut().unwrap().remove("use");
        jwk
    });
    let service = with(&jwks).await;
    service.takes(&keys).await;
    service.stop().await;
}

#[tokio::test]
async fn a_key_for_another_use_verifies_nothing() {
    let (key, good) = (TestKey::new("one"), TestKey::new("good"));
    for (name, value) in [
        ("use", json!("enc")),
        ("use", json!(5)),
        ("key_ops", json!(["sign"])),
        ("alg", json!("ES384")),
        ("alg", json!("ECDH-ES")),
        ("crv", json!("P-384")),
        ("crv", json!("secp256k1")),
        ("crv", json!("Ed25519")),
        ("kty", json!("OKP")),
        ("x", json!("AAAA")),
        ("y", json!("not base64url!")),
    ] {
        let mut jwk = key.jwk();
        jwk[name] = value.clone();
        let service = with(&[jwk, good.jwk()]).await;
        service.refuses([(name, key.token(&claims()))]).await;
        assert_eq!(service.status(&good.token(&claims())).await, 200, "{name}");
        service.stop().await;
    }
}

#[tokio::test]
async fn one_kid_may_name_keys_of_two_algorithms() {
    let (ec, rsa) = (TestKey::new("one"), TestKey::of("RS256", "one"));
    let service = Trusting::of([&ec, &rsa]).await;
    service.takes([&ec, &rsa]).await;
    service.stop().await;
}

#[tokio::test]
async fn unknown_members_and_kinds_of_keys_do_no_harm() {
    let key = TestKey::new("one");
    let mut set: Value = serde_json::from_str(&jwks([&key])).unwrap();
    set["more"] = json!({"of": "it"});
    set["keys"][0]["x5t"] = json!("dGh1bWJwcmludA");
    let keys = set["keys"].as_array_mut().unwrap();
    keys.extend([
        json!({"kty": "AKP", "alg": "ML-DSA-44"}),
        json!(null),
        json!("key"),
    ]);
    let service = Trusting::start(&set.to_string(), "", Defaults::Serve).await;
    assert_eq!(service.status(&key.token(&claims())).await, 200);
    service.stop().await;
}
