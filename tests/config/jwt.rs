//! `[auth.jwt]`: an issuer, and where its keys are.

use kootask::config::{Config, Defaults};

use super::{keys_at_fault, read, refused};
use crate::support::jwt::trust;

#[test]
fn an_issuer_is_taken_whole_or_not_at_all() {
    for (toml, expected) in [
        (
            "[auth.jwt]\njwks_file = 'x'\n",
            "issuer audience tenant_claim",
        ),
        (
            "[auth.jwt]\nissuer = ''\naudience = 5\ntenant_claim = 'x'\n",
            "issuer audience",
        ),
        ("[auth]\njwt = 'x'\n", ""),
    ] {
        let expected: Vec<_> = match expected {
            "" => vec!["auth.jwt".to_owned()],
            keys => keys
                .split(' ')
                .map(|key| format!("auth.jwt.{key}"))
                .collect(),
        };
        let mut found = keys_at_fault(toml);
        let mut expected = expected;
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{toml}");
    }
    let typo = trust("jwks_file = 'x'\nuser_clam = 'user'");
    assert!(refused(&typo).contains("auth.jwt.user_claim was meant?"));
}

#[test]
fn keys_are_in_a_file_or_at_a_url() {
    let both = "jwks_file = 'jwks.json'\njwks_url = 'https://login.example.com/jwks'";
    for (keys, problem) in [
        ("", "needs jwks_file or jwks_url"),
        (both, "has both jwks_file and jwks_url"),
    ] {
        assert_eq!(keys_at_fault(&trust(keys)), ["auth.jwt"]);
        assert!(refused(&trust(keys)).contains(problem));
    }
}

#[test]
fn a_url_of_keys_is_https_or_leads_to_this_machine() {
    for url in [
        "https://login.example.com/jwks?tenant=acme",
        "https://127.0.0.1/jwks",
        "http://localhost:8080/jwks",
        "http://127.0.0.2:8080/jwks",
        "http://[::1]/jwks",
    ] {
        read(&trust(&format!("jwks_url = '{url}'")));
    }
    for url in [
        "",
        "login.example.com/jwks",
        "http://login.example.com/jwks",
        "http://localhost.example.com/jwks",
        "http://10.0.0.1/jwks",
        "http://0.0.0.0/jwks",
        "file:///etc/kootask/jwks.json",
        "ftp://127.0.0.1/jwks",
        "https://user@login.example.com/jwks",
        "https://user:a-password@login.example.com/jwks",
        "https://login.example.com/jwks#keys",
    ] {
        let toml = trust(&format!("jwks_url = '{url}'"));
        assert_eq!(keys_at_fault(&toml), ["auth.jwt.jwks_url"], "{url}");
        assert!(!refused(&toml).contains("a-password"));
    }
}

#[test]
fn what_is_in_force_is_printed_as_it_is_read() {
    let toml = trust("jwks_file = '/etc/kootask/jwks.json'\nuser_claim = 'user'");
    let printed = read(&toml).to_string();
    assert_eq!(read(&printed).to_string(), printed);
    for line in ["issuer = ", "audience = ", "jwks_file = ", "user_claim = "] {
        assert!(printed.contains(line), "{printed}");
    }
    let changed = read(&trust("jwks_file = '/etc/kootask/jwks.json'"));
    assert_eq!(read(&toml).differences(&changed), ["auth.jwt"]);
    let none = Config::from_toml("[auth.jwt]\n", Defaults::Serve).unwrap();
    assert!(none.auth.jwt.is_none());
}
