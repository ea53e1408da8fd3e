//! Files of certificates and keys at the start.

use std::fs;

use kootask::config::{Config, Defaults};

use super::Issued;
use crate::cli::serve::admit;
use crate::cli::{Outcome, outcome};
use crate::support::process::kootask;
use crate::support::tls::Authority;

/// `kootask` with this command and configuration, run to its end.
fn run(command: &[&str], config: &str) -> Outcome {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), config).unwrap();
    let mut kootask = kootask();
    admit(&mut kootask, "a-token")
        .args(command)
        .arg("--config")
        .arg(file.path())
        .env("KOOTASK__STORE__URL", "memory:");
    outcome(&mut kootask)
}

#[test]
fn files_of_no_use_end_the_start_and_are_named() {
    let issued = Issued::new();
    let path = |name: &str| issued.folder.path().join(name);
    let (cert, key) = (&*issued.pair.cert, &*issued.pair.key);
    let another = issued.authority.issue().key;
    let bare = key.replace("-----BEGIN PRIVATE KEY-----", "");
    let secret = key.lines().nth(1).unwrap();
    let damaged = cert.replacen("MII", "MIJ", 1);
    for (cert, key, why) in [
        ("", key, "tls.crt: there is no certificate"),
        (key, key, "tls.crt: there is no certificate"),
        (
            &*damaged,
            key,
            "tls.crt: a certificate in it cannot be used",
        ),
        (cert, "", "tls.key: there is no private key"),
        (cert, cert, "tls.key: there is no private key"),
        (cert, &*bare, "tls.key: there is no private key"),
        (
            cert,
            &*another,
            "tls.key: the private key in it is not that of",
        ),
    ] {
        fs::write(path("tls.crt"), cert).unwrap();
        fs::write(path("tls.key"), key).unwrap();
        for command in [&["serve"][..], &["config", "check"]] {
            let refused = run(command, &issued.config);
            assert_eq!(refused.code, Some(1), "{why}");
            assert!(refused.err.contains(why), "{}", refused.err);
            assert!(refused.err.contains("server.tls_cert_file"));
            assert!(!refused.err.contains(secret), "{}", refused.err);
        }
    }
    fs::remove_file(path("tls.key")).unwrap();
    let refused = run(&["config", "check"], &issued.config);
    assert!(
        refused.err.contains("tls.key: No such file"),
        "{}",
        refused.err
    );
}

#[test]
fn an_authority_of_clients_that_is_none_is_refused() {
    let clients = Authority::new("clients");
    let issued = Issued::to_clients_of(&clients);
    assert_eq!(run(&["config", "check"], &issued.config).code, Some(0));
    fs::write(issued.folder.path().join("clients.crt"), &issued.pair.key).unwrap();
    let refused = run(&["config", "check"], &issued.config);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("clients.crt: there is no certificate"));
}

#[test]
fn a_certificate_that_has_ended_is_warned_of() {
    let issued = Issued::new();
    let ended = issued.authority.issue_until(2020);
    ended.configured_in(issued.folder.path());
    let checked = run(&["config", "check"], &issued.config);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let warning = "ended at 2020-01-01T00:00:00Z";
    assert!(checked.err.contains(warning), "{}", checked.err);
}

#[test]
fn a_half_of_what_tls_needs_is_refused() {
    for (config, why) in [
        (
            "tls_cert_file = \"a\"",
            "server.tls_cert_file: is of no use without tls_key_file",
        ),
        (
            "tls_key_file = \"a\"",
            "server.tls_key_file: is of no use without tls_cert_file",
        ),
        (
            "tls_client_ca_file = \"a\"",
            "server.tls_client_ca_file: is of no use without tls_cert_file",
        ),
    ] {
        let config = format!("[server]\n{config}\n");
        let refused = Config::from_toml(&config, Defaults::Dev).unwrap_err();
        let refused = refused.to_string();
        assert!(refused.contains(why), "{refused}");
    }
}
