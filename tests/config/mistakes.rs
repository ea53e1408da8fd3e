//! Every mistake is told, by the key that it is in.

use proptest::prelude::*;

use super::{GOOD_SECRET, keys_at_fault, refused};

const DIGEST: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[test]
fn all_mistakes_are_told_at_once() {
    let toml = "
        [server]
        listen = 'nowhere'
        request_timeout = '0s'
        body_limit = 'much'
        shutdwon_grace = '1s'
        [store]
        url = 'redis://'
        [id]
        node = 65536
        [auth]
        mode = 'maybe'
        [[auth.apps]]
        app_id = 'not one'
        [[auth.tokens]]
        tenant_id = ''
        token_sha256 = 'short'
    ";
    let mut keys = keys_at_fault(toml);
    keys.sort();
    assert_eq!(
        keys,
        [
            "auth.apps[0]",
            "auth.apps[0].app_id",
            "auth.apps[0].tenant_id",
            "auth.mode",
            "auth.tokens[0].tenant_id",
            "auth.tokens[0].token_sha256",
            "id.node",
            "server.body_limit",
            "server.listen",
            "server.request_timeout",
            "server.shutdwon_grace",
            "store.url",
        ]
    );
    let message = refused(toml);
    for key in keys {
        assert!(
            message.contains(&format!("\n  {key}: ")),
            "{key} in {message}"
        );
    }
}

#[test]
fn a_typo_in_any_key_is_told() {
    for (toml, key) in [
        (
            "listen = 'x'",
            "listen: there is no such setting; server.listen was meant?",
        ),
        (
            "[sever]\nlisten = '127.0.0.1:1'",
            "sever: there is no such setting; server was",
        ),
        (
            "[server]\nlistne = '127.0.0.1:1'",
            "server.listne: there is no such setting",
        ),
        (
            "[server]\nnode = 1",
            "server.node: there is no such setting; id.node was meant?",
        ),
        (
            "[store]\nURL = 'memory:'",
            "store.URL: there is no such setting; store.url was",
        ),
        ("[id]\nnodes = 1", "id.nodes"),
        ("[auth]\nmodes = 'verify'", "auth.modes"),
        ("[[auth.app]]\napp_id = 'a'", "auth.app"),
        (
            "[server]\n\nportal = 1",
            "server: holds a name of 6 characters that is none of its own: listen, ops_listen, \
             tls_cert_file, tls_key_file, tls_client_ca_file, trusted_proxies, cors_origins, \
             request_timeout, body_limit, keep_alive, drain_delay, shutdown_grace (line 3)",
        ),
        ("[server.listen]\nport = 1", "server.listen"),
    ] {
        assert!(refused(toml).contains(key), "{toml}: {}", refused(toml));
    }
}

#[test]
fn a_typo_within_an_entry_is_told_with_the_entry() {
    let app =
        "[[auth.apps]]\napp_id = 'a'\ntenant_id = 't'\napp_secret = 'long-enough-to-be-taken'\n";
    let message = refused(&format!("{app}{app}app_secret_flie = 'x'"));
    assert!(
        message.contains("auth.apps") && message.contains('1'),
        "{message}"
    );
    assert!(message.contains("app_secret_flie"), "{message}");

    let token = format!("[[auth.tokens]]\ntoken_sha256 = '{DIGEST}'\ntenant_id = 't'\n");
    let message = refused(&format!("{token}expires = 'x'"));
    assert!(
        message.contains("auth.tokens") && message.contains("expires"),
        "{message}"
    );
}

#[test]
fn a_section_that_is_no_table_is_refused_by_its_name() {
    for toml in [
        "server = 1",
        "store = 'memory:'",
        "auth = 'verify'",
        "id = true",
    ] {
        let key = toml.split(' ').next().unwrap();
        assert!(refused(toml).contains(key), "{toml}: {}", refused(toml));
    }
}

#[test]
fn a_list_that_is_none_is_refused_by_its_name() {
    for toml in [
        "[auth]\napps = 1",
        "[auth]\napps = ['a']",
        "[auth.apps]\napp_id = 'a'",
    ] {
        assert!(refused(toml).contains("apps"), "{toml}: {}", refused(toml));
    }
}

#[test]
fn an_app_needs_an_id_a_tenant_and_a_secret() {
    assert_eq!(
        keys_at_fault("[[auth.apps]]"),
        [
            "auth.apps[0].app_id",
            "auth.apps[0].tenant_id",
            "auth.apps[0]"
        ]
    );
    let message = refused("[[auth.apps]]\napp_id = 'a'\ntenant_id = 't'");
    assert!(
        message.contains("auth.apps[0]: needs app_secret or app_secret_file"),
        "{message}"
    );
}

#[test]
fn a_secret_and_a_file_with_one_are_too_much() {
    let message = refused(
        "[[auth.apps]]\napp_id = 'a'\ntenant_id = 't'\napp_secret = 's'\napp_secret_file = '/f'",
    );
    assert!(message.contains("auth.apps[0]: has both"), "{message}");
}

#[test]
fn a_secret_file_that_is_missing_or_empty_is_told_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let app = |name: &str| {
        let path = folder.path().join(name);
        format!(
            "[[auth.apps]]\napp_id = 'a'\ntenant_id = 't'\napp_secret_file = '{}'",
            path.display()
        )
    };
    std::fs::write(folder.path().join("empty"), "\n").unwrap();
    for name in ["missing", "empty", ""] {
        let toml = app(name);
        assert_eq!(
            keys_at_fault(&toml),
            ["auth.apps[0].app_secret_file"],
            "{name}"
        );
        assert!(
            refused(&toml).contains(folder.path().to_str().unwrap()),
            "{name}"
        );
    }
}

#[test]
fn a_token_needs_a_digest_and_a_tenant() {
    assert_eq!(
        keys_at_fault("[[auth.tokens]]\nuser_id = 'a b'"),
        [
            "auth.tokens[0].token_sha256",
            "auth.tokens[0].tenant_id",
            "auth.tokens[0].user_id"
        ]
    );
    for digest in [&DIGEST[1..], &format!("{DIGEST}00"), "", "the token itself"] {
        let toml = format!("[[auth.tokens]]\ntoken_sha256 = '{digest}'\ntenant_id = 't'");
        assert_eq!(
            keys_at_fault(&toml),
            ["auth.tokens[0].token_sha256"],
            "{digest}"
        );
    }
}

#[test]
fn a_token_listed_twice_is_refused() {
    let upper = DIGEST.to_uppercase();
    let entry = |digest: &str, tenant: &str| {
        format!("[[auth.tokens]]\ntoken_sha256 = '{digest}'\ntenant_id = '{tenant}'\n")
    };
    assert_eq!(
        keys_at_fault(&(entry(DIGEST, "a") + &entry(&upper, "b"))),
        ["auth.tokens"]
    );
}

#[test]
fn an_app_of_two_tenants_is_refused() {
    let entry = |tenant: &str, secret: &str| {
        format!("[[auth.apps]]\napp_id = 'a'\ntenant_id = '{tenant}'\napp_secret = '{secret}'\n")
    };
    assert_eq!(
        keys_at_fault(&(entry("one", GOOD_SECRET) + &entry("other", GOOD_SECRET))),
        ["auth.apps"]
    );
}

proptest! {
    #[test]
    fn no_text_whatever_makes_it_panic(text in "[\\[\\]a-z._='\"0-9\n -]{0,60}") {
        let _ = kootask::config::Config::from_toml(&text, kootask::config::Defaults::Serve);
    }

    #[test]
    fn no_value_whatever_makes_it_panic(
        key in prop::sample::select(vec![
            "server.listen", "server.request_timeout", "server.body_limit", "store.url",
            "store.password", "store.password_file", "store.migrate", "store.max_connections",
            "id.node", "auth.mode", "auth.clock_skew",
        ]),
        value in any::<String>(),
    ) {
        let value = serde_json::to_string(&value).unwrap();
        let toml = format!("{key} = {value}");
        if let Err(error) = kootask::config::Config::from_toml(&toml, kootask::config::Defaults::Serve) {
            let _ = error.to_string();
        }
    }

    /// By its name where that is almost a key's; what else stands there may be a
    /// secret, so that its line must do.
    #[test]
    fn any_misspelt_key_is_refused_by_its_name_or_line(
        section in prop::sample::select(vec!["server", "store", "id", "directory", "auth"]),
        key in "[a-z]{2,12}",
    ) {
        let known = [
            "listen", "url", "password", "migrate", "node", "mode", "apps", "tokens", "file",
        ];
        prop_assume!(!known.contains(&key.as_str()));
        let toml = format!("[{section}]\n{key} = 1");
        let at_fault = keys_at_fault(&toml);
        let named = format!("{section}.{key}");
        prop_assert!(at_fault == [named] || at_fault == [section], "{:?}", at_fault);
        prop_assert!(refused(&toml).ends_with(" (line 2)"), "{}", refused(&toml));
    }
}
