//! JWTs as bearer tokens: which are taken, and each way to forge one.

mod claims;
mod forged;
mod keys;
mod provider;

use kootask::config::Defaults;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::TestApp;
use crate::support::client::{Answer, Call, TRANSFER};
use crate::support::jwt::{TestKey, claims, jwks, trust};

/// The service, which takes JWTs with the keys of a file.
struct Trusting {
    app: TestApp,
    /// Holds the file.
    _folder: TempDir,
}

impl Trusting {
    /// With these keys.
    async fn of(keys: impl IntoIterator<Item = &TestKey>) -> Self {
        Self::start(&jwks(keys), "", Defaults::Serve).await
    }

    /// With this key set, and more of the configuration.
    async fn start(jwks: &str, more: &str, defaults: Defaults) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("jwks.json");
        std::fs::write(&file, jwks).unwrap();
        let toml = trust(&format!("jwks_file = \"{}\"", file.display())) + more;
        Self {
            app: TestApp::start(&toml, defaults).await,
            _folder: folder,
        }
    }

    fn call(&self, token: &str) -> Call {
        self.app.create(TRANSFER).bearer(token)
    }

    async fn status(&self, token: &str) -> u16 {
        self.call(token).send().await.status.as_u16()
    }

    /// Has a token of each of these keys taken.
    async fn takes<'a>(&self, keys: impl IntoIterator<Item = &'a TestKey>) {
        for key in keys {
            let status = self.status(&key.token(&claims())).await;
            assert_eq!(status, 200, "{} {}", key.kid, key.algorithm);
        }
    }

    /// Has each of these tokens refused, as one that nobody has issued.
    async fn refuses<T: AsRef<str>>(&self, tokens: impl IntoIterator<Item = (&str, T)>) {
        let unknown = self.call("no-token-at-all").send().await;
        assert_eq!(unknown.status, 401);
        for (why, token) in tokens {
            let refused = self.call(token.as_ref()).send().await;
            assert_eq!(refused.status, 401, "{why}");
            assert_eq!(told(&refused), told(&unknown), "{why}");
        }
    }

    async fn stop(self) {
        self.app.stop().await;
    }
}

/// What an answer tells of why it is one.
fn told(answer: &Answer) -> (Vec<String>, Value) {
    let schemes = answer.headers.get_all("www-authenticate").iter();
    let schemes = schemes.map(|scheme| scheme.to_str().unwrap().to_owned());
    (schemes.collect(), answer.body.clone())
}

#[tokio::test]
async fn a_token_of_each_algorithm_is_taken() {
    let algorithms = [
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
    ];
    let keys = algorithms.map(|algorithm| TestKey::of(algorithm, algorithm));
    let service = Trusting::of(&keys).await;
    service.takes(&keys).await;
    service.stop().await;
}

#[tokio::test]
async fn a_task_belongs_to_the_tenant_of_the_token_and_keeps_its_subject() {
    let key = TestKey::new("one");
    let service = Trusting::of([&key]).await;
    let id = service.call(&key.token(&claims())).send().await.task_id();
    let task = service.app.kept("acme", id).await;
    assert_eq!(task.created_by.unwrap().as_str(), "jwt-alice");
    service.stop().await;
}

#[tokio::test]
async fn the_stand_in_holds_a_token_of_the_issuer_to_its_rights_and_takes_any_other() {
    let (key, other) = (TestKey::new("one"), TestKey::new("one"));
    let service = Trusting::start(&jwks([&key]), "", Defaults::Dev).await;
    let id = service.call(&key.token(&claims())).send().await.task_id();
    service.app.kept("acme", id).await;
    assert_eq!(service.status(&other.token(&claims())).await, 401);
    let mut foreign = claims();
    foreign["iss"] = "https://elsewhere.example.com/".into();
    assert_eq!(service.status(&other.token(&foreign)).await, 200);
    service.stop().await;
}

#[tokio::test]
async fn the_rate_of_each_subject_is_its_own() {
    let key = TestKey::new("one");
    let limited = "[limits]\nrequests_per_second = 1\n";
    let service = Trusting::start(&jwks([&key]), limited, Defaults::Serve).await;
    let of = |subject: &str| {
        let mut claims = claims();
        claims["sub"] = subject.into();
        key.token(&claims)
    };
    assert_eq!(service.status(&of("alice")).await, 200);
    // Another token of hers does not help.
    assert_eq!(service.status(&of("alice")).await, 429);
    assert_eq!(service.status(&of("bob")).await, 200);
    service.stop().await;
}
