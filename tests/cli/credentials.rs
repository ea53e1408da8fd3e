//! `kootask credentials new`.

use kootask::config::{Config, Defaults};

use super::run;
use crate::support::TestApp;
use crate::support::client::TRANSFER;

/// What is printed: a configuration, and the secret in its last line.
fn new(arguments: &[&str]) -> (String, String) {
    let outcome = run(&[&["credentials", "new"], arguments].concat());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let secret = outcome.out.lines().last().unwrap();
    let secret = secret.strip_prefix("# ").unwrap().to_owned();
    assert_eq!(secret.len(), 64);
    (outcome.out, secret)
}

#[tokio::test]
async fn what_is_printed_is_a_configuration_that_lets_the_secret_in() {
    let (token, bearer) = new(&["token", "--tenant", "acme"]);
    let (app, secret) = new(&["app", "console", "--tenant", "acme"]);
    let service = TestApp::start(&(token + &app), Defaults::Serve).await;
    let call = || service.create(TRANSFER);
    assert_eq!(call().bearer(&bearer).send().await.status, 200);
    assert_eq!(call().signed("console", &secret).send().await.status, 200);
    service.stop().await;
}

#[test]
fn a_worker_is_of_the_tenants_that_are_named() {
    for (arguments, tenants) in [
        (
            &["worker", "mover", "--tenant", "acme,other"][..],
            "tenants = [\"acme\", \"other\"]",
        ),
        (&["worker", "mover"], "tenants = [\"*\"]"),
    ] {
        let (text, _) = new(arguments);
        assert!(text.contains(tenants), "{text}");
        let config = Config::from_toml(&text, Defaults::Dev).unwrap();
        assert_eq!(config.auth.workers.len(), 1);
    }
}

#[test]
fn a_token_of_one_user_and_no_two_secrets_alike() {
    let arguments = ["token", "--tenant", "acme", "--user", "u1"];
    let ((text, one), (_, other)) = (new(&arguments), new(&arguments));
    assert_ne!(one, other);
    // Known by its digest: the file is of no use to who reads it.
    assert!(
        !text
            .lines()
            .any(|line| line.contains(&one) && !line.starts_with('#'))
    );
    let config = Config::from_toml(&text, Defaults::Serve).unwrap();
    assert_eq!(config.auth.tokens[0].user_id, Some("u1".parse().unwrap()));
}

#[test]
fn a_name_that_is_none_is_refused() {
    let outcome = run(&["credentials", "new", "token", "--tenant", "a\"b"]);
    assert_eq!(outcome.code, Some(2));
}
