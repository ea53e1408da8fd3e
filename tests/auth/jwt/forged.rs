//! Tokens that the issuer has not signed, or not like this.

use hmac::{Hmac, KeyInit, Mac};
use kootask::config::Defaults;
use kootask::worker;
use serde_json::{Value, json};
use sha2::Sha256;

use super::Trusting;
use crate::support::command::command;
use crate::support::credentials::worker as worker_entry;
use crate::support::jwt::{TestKey, base64url, claims, compact, jwks, rsa_der};

#[tokio::test]
async fn hs256_with_the_public_key_for_a_secret_is_401() {
    let keys = [TestKey::of("RS256", "rsa"), TestKey::new("ec")];
    let service = Trusting::of(&keys).await;
    for key in &keys {
        let secrets: [Vec<u8>; 4] = [
            key.public().to_vec(),
            key.jwk().to_string().into(),
            jwks(&keys).into(),
            Vec::new(),
        ];
        for secret in secrets {
            let header = json!({"alg": "HS256", "kid": key.kid}).to_string();
            let token = compact(&header, &claims().to_string(), |message| {
                let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
                mac.update(message);
                mac.finalize().into_bytes().to_vec()
            });
            service.refuses([(key.algorithm, token)]).await;
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn a_shared_secret_in_the_key_set_verifies_nothing() {
    let key = TestKey::new("one");
    let secret = "a secret that everybody may read";
    let mut set: Value = serde_json::from_str(&jwks([&key])).unwrap();
    let shared = json!({"kty": "oct", "kid": "shared", "alg": "HS256", "k": base64url(secret)});
    set["keys"].as_array_mut().unwrap().push(shared);
    let service = Trusting::start(&set.to_string(), "", Defaults::Serve).await;
    let header = json!({"alg": "HS256", "kid": "shared"}).to_string();
    let token = compact(&header, &claims().to_string(), |message| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(message);
        mac.finalize().into_bytes().to_vec()
    });
    service.refuses([("HS256", token)]).await;
    service.stop().await;
}

#[tokio::test]
async fn none_is_no_algorithm_in_any_spelling() {
    let key = TestKey::new("one");
    let service = Trusting::of([&key]).await;
    for spelling in [
        "none",
        "None",
        "NONE",
        "nOnE",
        "none ",
        "\u{0}none",
        "",
        "ES256 ",
    ] {
        let header = json!({"alg": spelling, "kid": "one"}).to_string();
        let payload = claims().to_string();
        let unsigned = compact(&header, &payload, |_| Vec::new());
        let signed = compact(&header, &payload, |message| key.sign(message));
        let without = unsigned.trim_end_matches('.').to_owned();
        service
            .refuses([
                (spelling, unsigned),
                (spelling, signed),
                (spelling, without),
            ])
            .await;
    }
    for algorithm in [json!(null), json!(["none"]), json!(0), json!({})] {
        let header = json!({"alg": algorithm, "kid": "one"}).to_string();
        let token = compact(&header, &claims().to_string(), |message| key.sign(message));
        service.refuses([("no text", token)]).await;
    }
    let header = json!({"kid": "one"}).to_string();
    let token = compact(&header, &claims().to_string(), |message| key.sign(message));
    service.refuses([("absent", token)]).await;
    service.stop().await;
}

#[tokio::test]
async fn a_wrong_signature_is_401() {
    let (key, attacker) = (TestKey::new("one"), TestKey::new("one"));
    let service = Trusting::of([&key]).await;
    let good = key.token(&claims());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let mut other = claims();
    other["tenant"] = "another".into();
    let changed = key.token(&other);
    let (changed, _) = changed.rsplit_once('.').unwrap();
    service
        .refuses([
            ("another's key", attacker.token(&claims())),
            ("changed claims", format!("{changed}.{signature}")),
            ("no signature", format!("{message}.")),
            ("no third part", message.to_owned()),
            ("a fourth part", format!("{good}.{signature}")),
            ("cut off", good[..good.len() - 4].to_owned()),
            ("no base64url", format!("{message}.+/+/")),
            ("padded", format!("{good}==")),
        ])
        .await;
    assert_eq!(service.status(&good).await, 200);
    service.stop().await;
}

#[tokio::test]
async fn a_malformed_es256_signature_is_401() {
    let key = TestKey::new("one");
    let service = Trusting::of([&key]).await;
    let token = |signature: Vec<u8>| {
        compact(&key.header().to_string(), &claims().to_string(), |_| {
            signature
        })
    };
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order = hex::decode(order).unwrap();
    let genuine = compact(
        &key.header().to_string(),
        &claims().to_string(),
        |message| {
            // As X.509 writes it, where JOSE has the two numbers alone.
            let fixed = key.sign(message);
            let (r, s) = fixed.split_at(32);
            let number = |bytes: &[u8]| [&[2, 33, 0], bytes].concat();
            [&[0x30, 70][..], &number(r), &number(s)].concat()
        },
    );
    service
        .refuses([
            ("DER", genuine),
            ("zeros: CVE-2022-21449", token(vec![0; 64])),
            (
                "the order of the curve",
                token([order.clone(), order].concat()),
            ),
            ("a byte too few", token(vec![1; 63])),
            ("a byte too many", token(vec![1; 65])),
            ("empty", token(Vec::new())),
        ])
        .await;
    service.stop().await;
}

#[tokio::test]
async fn a_key_that_the_token_brings_along_is_ignored() {
    let (key, attacker) = (TestKey::new("one"), TestKey::new("one"));
    let service = Trusting::of([&key]).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    for (name, value) in [
        ("jwk", attacker.jwk()),
        ("jku", json!(url)),
        ("x5u", json!(url)),
        ("x5c", json!(["MIIBITCByQIUBo"])),
    ] {
        let with = |key: &TestKey| {
            let mut header = key.header();
            header[name] = value.clone();
            key.token_of(&header, &claims().to_string())
        };
        service.refuses([(name, with(&attacker))]).await;
        let mut unnamed = attacker.header();
        unnamed["kid"] = json!("unknown");
        unnamed[name] = value.clone();
        let unnamed = attacker.token_of(&unnamed, &claims().to_string());
        service.refuses([(name, unnamed)]).await;
        assert_eq!(service.status(&with(&key)).await, 200, "{name}");
    }
    let nobody = listener.accept().unwrap_err();
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
    service.stop().await;
}

#[tokio::test]
async fn a_header_that_must_be_understood_is_401() {
    let key = TestKey::new("one");
    let service = Trusting::of([&key]).await;
    for crit in [json!(["b64"]), json!(["exp"]), json!([])] {
        let mut header = key.header();
        header["b64"] = json!(false);
        header["crit"] = crit;
        let token = key.token_of(&header, &claims().to_string());
        service.refuses([("crit", token)]).await;
    }
    service.stop().await;
}

#[tokio::test]
async fn a_weak_rsa_key_verifies_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weak.der");
    std::fs::write(&file, rsa_der(1024)).unwrap();
    let openssl = |arguments: &[&str], input: &[u8]| {
        let message = folder.path().join("message");
        std::fs::write(&message, input).unwrap();
        let mut openssl = command("openssl");
        let made = openssl.args(arguments).arg(&file).arg(&message).output();
        made.unwrap().stdout
    };
    let modulus = command("openssl")
        .args(["rsa", "-inform", "DER", "-noout", "-modulus", "-in"])
        .arg(&file)
        .output();
    let modulus = String::from_utf8(modulus.unwrap().stdout).unwrap();
    let modulus = hex::decode(modulus.trim().strip_prefix("Modulus=").unwrap()).unwrap();
    assert_eq!(modulus.len(), 128);
    let weak = json!({
        "kty": "RSA", "kid": "weak", "alg": "RS256", "n": base64url(modulus), "e": "AQAB",
    });
    let strong = TestKey::new("strong");
    let set = json!({"keys": [weak, strong.jwk()]}).to_string();
    let service = Trusting::start(&set, "", Defaults::Serve).await;
    let header = json!({"alg": "RS256", "kid": "weak"}).to_string();
    let token = compact(&header, &claims().to_string(), |message| {
        let signature = openssl(&["dgst", "-sha256", "-keyform", "DER", "-sign"], message);
        assert_eq!(signature.len(), 128);
        signature
    });
    service.refuses([("1024 bits", token)]).await;
    assert_eq!(service.status(&strong.token(&claims())).await, 200);
    service.stop().await;
}

#[tokio::test]
async fn a_token_without_end_of_depth_or_length_is_401() {
    let key = TestKey::new("one");
    let service = Trusting::of([&key]).await;
    let deep = format!("{}{}", "[".repeat(4000), "]".repeat(4000));
    let nested = claims()
        .to_string()
        .replacen('{', &format!("{{\"deep\":{deep},"), 1);
    let header = format!("{{\"alg\":\"ES256\",\"kid\":\"one\",\"deep\":{deep}}}");
    let deep_header = compact(&header, &claims().to_string(), |message| key.sign(message));
    let mut long = claims();
    long["more"] = "x".repeat(13_000).into();
    service
        .refuses([
            ("deep claims", key.token_of(&key.header(), &nested)),
            ("a deep header", deep_header),
            ("more than 16 KiB", key.token(&long)),
        ])
        .await;
    long["more"] = "x".repeat(11_000).into();
    assert_eq!(service.status(&key.token(&long)).await, 200);
    service.stop().await;
}

#[tokio::test]
async fn a_jwt_opens_no_call_of_workers_and_a_workers_token_none_of_tenants() {
    let key = TestKey::new("one");
    let worker = worker_entry("migrator", "worker-token", "[\"*\"]");
    let claim = json!({"worker": "w", "claimId": "0b7e4f0e-6a57-4ac5-9a5c-2f0a0a8a4a4e"});
    for defaults in [Defaults::Serve, Defaults::Dev] {
        let service = Trusting::start(&jwks([&key]), &worker, defaults).await;
        let call = service.app.worker(worker::CLAIM, &claim);
        let token = key.token(&claims());
        let refused = call.clone().bearer(&token).send().await;
        assert_eq!(refused.status, 401, "{defaults:?}");
        assert_eq!(call.bearer("worker-token").send().await.status, 200);
        assert_eq!(service.status("worker-token").await, 401);
        assert_eq!(service.status(&token).await, 200);
        service.stop().await;
    }
}
