//! The environment, which wins over the file; by way of `kootask config check`,
//! since only a process has one of its own.

use std::path::Path;

use super::GOOD_SECRET;
use crate::support::credentials::{app, token};
use crate::support::process::kootask;

/// Whether the check is passed, and all that it says.
fn check(file: Option<&str>, environment: &[(&str, &str)]) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = kootask();
    command
        .args(["config", "check"])
        .envs(environment.iter().copied());
    if let Some(text) = file {
        let path = folder.path().join("kootask.toml");
        std::fs::write(&path, text).unwrap();
        command.arg("--config").arg(path);
    }
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[track_caller]
fn passed(file: Option<&str>, environment: &[(&str, &str)]) -> String {
    let (passed, said) = check(file, environment);
    assert!(passed, "{said}");
    said
}

#[track_caller]
fn failed(file: Option<&str>, environment: &[(&str, &str)]) -> String {
    let (passed, said) = check(file, environment);
    assert!(!passed, "{said}");
    said
}

const ANYBODY: (&str, &str) = ("KOOTASK__AUTH__MODE", "accept-any");

#[test]
fn every_setting_can_be_given_in_the_environment() {
    let said = passed(
        None,
        &[
            ANYBODY,
            ("KOOTASK__AUTH__CLOCK_SKEW", "7s"),
            ("KOOTASK__SERVER__LISTEN", "0.0.0.0:81"),
            ("KOOTASK__SERVER__OPS_LISTEN", "127.0.0.1:82"),
            ("KOOTASK__SERVER__TRUSTED_PROXIES", "10.0.0.0/8, fd00::1"),
            (
                "KOOTASK__SERVER__CORS_ORIGINS",
                "https://a.example,http://b.example:81",
            ),
            ("KOOTASK__SERVER__REQUEST_TIMEOUT", "3s"),
            ("KOOTASK__SERVER__BODY_LIMIT", "2KiB"),
            ("KOOTASK__SERVER__KEEP_ALIVE", "5s"),
            ("KOOTASK__SERVER__DRAIN_DELAY", "6s"),
            ("KOOTASK__SERVER__SHUTDOWN_GRACE", "4s"),
            ("KOOTASK__STORE__URL", "postgres://me@db/tasks"),
            ("KOOTASK__STORE__PASSWORD", "a secret"),
            ("KOOTASK__STORE__MIGRATE", "false"),
            ("KOOTASK__STORE__MAX_CONNECTIONS", "9"),
            ("KOOTASK__ID__NODE", "42"),
            ("KOOTASK__TASKS__MAX_ATTEMPTS", "3"),
            ("KOOTASK__TASKS__ATTEMPT_TIMEOUT", "2h"),
            ("KOOTASK__DIRECTORY__FILE", "users.csv"),
        ],
    );
    insta::assert_snapshot!(said, @r#"
    [server]
    listen = "0.0.0.0:81"
    ops_listen = "127.0.0.1:82"
    trusted_proxies = ["10.0.0.0/8", "fd00::1/128"]
    cors_origins = ["https://a.example", "http://b.example:81"]
    request_timeout = "3s"
    body_limit = 2048
    keep_alive = "5s"
    drain_delay = "6s"
    shutdown_grace = "4s"

    [store]
    url = "postgres://me@db/tasks"
    password = "[REDACTED, 8 bytes]"
    migrate = false
    max_connections = 9

    [id]
    node = 42

    [tasks]
    max_attempts = 3
    attempt_timeout = "2h"

    [directory]
    file = "users.csv"

    [auth]
    mode = "accept-any"
    clock_skew = "7s"
    kootask: warning: auth.mode is accept-any and server.listen is 0.0.0.0:81: whoever reaches that address may call
    kootask: warning: so «kootask serve» refuses to start without --accept-any-from-network
    "#);
}

#[test]
fn the_environment_wins_over_the_file() {
    let file = "[server]\nlisten = '127.0.0.1:1'\nbody_limit = 7\n";
    let said = passed(
        Some(file),
        &[ANYBODY, ("KOOTASK__SERVER__LISTEN", "127.0.0.1:2")],
    );
    assert!(said.contains("listen = \"127.0.0.1:2\""), "{said}");
    assert!(said.contains("body_limit = 7"), "{said}");
}

#[test]
fn apps_and_tokens_can_be_given_in_the_environment() {
    let digest = "ab".repeat(32);
    let said = passed(
        None,
        &[
            ("KOOTASK__AUTH__APPS__0__APP_ID", "first"),
            ("KOOTASK__AUTH__APPS__0__TENANT_ID", "acme"),
            ("KOOTASK__AUTH__APPS__0__APP_SECRET", GOOD_SECRET),
            ("KOOTASK__AUTH__APPS__1__APP_ID", "second"),
            ("KOOTASK__AUTH__APPS__1__TENANT_ID", "umbrella"),
            ("KOOTASK__AUTH__APPS__1__APP_SECRET", "0070070070070070"),
            ("KOOTASK__AUTH__TOKENS__0__TOKEN_SHA256", &digest),
            ("KOOTASK__AUTH__TOKENS__0__TENANT_ID", "acme"),
            ("KOOTASK__AUTH__TOKENS__0__USER_ID", "1505084218764547200"),
            (
                "KOOTASK__AUTH__TOKENS__0__EXPIRES_AT",
                "2030-01-01T00:00:00Z",
            ),
        ],
    );
    for line in [
        "app_id = \"first\"",
        "app_id = \"second\"",
        "tenant_id = \"umbrella\"",
        "app_secret = \"[REDACTED, 16 bytes]\"",
        &format!("token_sha256 = \"{digest}\""),
        "user_id = \"1505084218764547200\"",
        "expires_at = \"2030-01-01T00:00:00Z\"",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
}

/// As `config/default.toml` says: a list is taken whole from one place.
#[test]
fn a_list_of_the_environment_replaces_that_of_the_file() {
    let file = app("of-the-file", GOOD_SECRET, "acme");
    let said = passed(
        Some(&file),
        &[
            ("KOOTASK__AUTH__APPS__0__APP_ID", "of-the-environment"),
            ("KOOTASK__AUTH__APPS__0__TENANT_ID", "acme"),
            ("KOOTASK__AUTH__APPS__0__APP_SECRET", GOOD_SECRET),
        ],
    );
    assert!(
        said.contains("of-the-environment") && !said.contains("of-the-file"),
        "{said}"
    );
}

#[test]
fn an_entry_of_the_file_cannot_be_half_replaced() {
    let file = "[[auth.apps]]\napp_id = 'console'\ntenant_id = 'acme'\n";
    let said = failed(
        Some(file),
        &[("KOOTASK__AUTH__APPS__0__APP_SECRET", "four")],
    );
    assert!(said.contains("auth.apps[0].app_id: is missing"), "{said}");
}

#[test]
fn the_entries_of_a_list_are_taken_in_the_order_of_their_numbers() {
    let names: Vec<_> = (0..12)
        .map(|n| {
            let name = |key| format!("KOOTASK__AUTH__APPS__{n}__{key}");
            [name("APP_ID"), name("TENANT_ID"), name("APP_SECRET")]
        })
        .collect();
    let ids: Vec<_> = (0..12).map(|n| format!("app-{n}")).collect();
    let mut environment = Vec::new();
    for ([app_id, tenant_id, app_secret], id) in names.iter().zip(&ids) {
        environment.extend([
            (&**app_id, &**id),
            (tenant_id, "acme"),
            (app_secret, GOOD_SECRET),
        ]);
    }
    let said = passed(None, &environment);
    let listed: Vec<_> = said
        .lines()
        .filter_map(|line| line.strip_prefix("app_id = "))
        .collect();
    let expected: Vec<_> = ids.iter().map(|id| format!("\"{id}\"")).collect();
    assert_eq!(listed, expected);
}

#[test]
fn tokens_of_the_file_are_kept_beside_apps_of_the_environment() {
    let said = passed(
        Some(&token("t", "of-the-file")),
        &[
            ("KOOTASK__AUTH__APPS__0__APP_ID", "console"),
            ("KOOTASK__AUTH__APPS__0__TENANT_ID", "acme"),
            ("KOOTASK__AUTH__APPS__0__APP_SECRET", GOOD_SECRET),
        ],
    );
    assert!(
        said.contains("of-the-file") && said.contains("console"),
        "{said}"
    );
}

#[test]
fn a_typo_in_a_variable_is_told() {
    for (name, key) in [
        ("KOOTASK__SERVER__LISTN", "server.listn"),
        ("KOOTASK__SEVER__LISTEN", "KOOTASK__SEVER__…"),
        (
            "KOOTASK__AUTH__APPS__0__SECRET",
            "KOOTASK__AUTH__APPS__0__SECRET",
        ),
        (
            "KOOTASK__AUTH__APPS__FIRST__APP_ID",
            "KOOTASK__AUTH__APPS__0__…",
        ),
        ("KOOTASK__LISTEN", "server.listen was meant"),
    ] {
        let said = failed(None, &[ANYBODY, (name, "127.0.0.1:1")]);
        assert!(said.contains(key), "{name}: {said}");
    }
}

#[test]
fn mistakes_of_the_file_and_of_the_environment_are_told_at_once() {
    let file = "[id]\nnode = -1\n";
    let said = failed(
        Some(file),
        &[("KOOTASK__STORE__URL", ""), ("KOOTASK__AUTH__MODE", "x")],
    );
    for key in ["id.node", "store.url", "auth.mode"] {
        assert!(said.contains(key), "{key} in {said}");
    }
}

#[test]
fn variables_of_others_are_left_alone() {
    let others = [
        ("KOOTASK", "1"),
        ("KOOTASK_APP_SECRET", GOOD_SECRET),
        ("KOOTASKS__SERVER__LISTEN", "x"),
    ];
    passed(None, &[&[ANYBODY], &others[..]].concat());
}

#[test]
fn the_file_can_be_named_in_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kootask.toml");
    std::fs::write(&path, "[id]\nnode = 77\n[auth]\nmode = 'accept-any'").unwrap();
    let said = passed(None, &[("KOOTASK_CONFIG", path.to_str().unwrap())]);
    assert!(said.contains("node = 77"), "{said}");
}

#[test]
fn a_file_that_is_missing_is_an_error_that_names_it() {
    let missing = Path::new("/nowhere/kootask.toml");
    let output = kootask()
        .args(["config", "check", "--config"])
        .arg(missing)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("/nowhere/kootask.toml"), "{said}");
    for hint in ["--config", "KOOTASK_CONFIG", "kootask config default"] {
        assert!(said.contains(hint), "{hint} in {said}");
    }
}

#[test]
fn a_file_without_an_end_is_refused() {
    let output = kootask()
        .args(["config", "check", "--config", "/dev/zero"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("/dev/zero") && said.contains("more than 1048576 bytes"),
        "{said}"
    );
}

#[test]
fn a_mistake_names_the_variable_that_it_is_in() {
    for (name, value, expected) in [
        (
            "KOOTASK__SERVER__LISTEN",
            "nowhere",
            "server.listen: must be an IP address and a port (names are not resolved), \
             such as \"127.0.0.1:8080\" (KOOTASK__SERVER__LISTEN)",
        ),
        (
            // Also where it is the only entry, and not the first by its number.
            "KOOTASK__AUTH__APPS__1__APP_ID",
            "not one",
            "auth.apps[1].app_id: must be 1 to 64 characters of A-Z a-z 0-9 _ -, \
             such as \"admin-console\" (KOOTASK__AUTH__APPS__1__APP_ID)",
        ),
        (
            "KOOTASK__AUTH__APPS__3__APP_ID",
            "console",
            "auth.apps[3].tenant_id: is missing, for example tenant_id = \"my-company\" \
             (KOOTASK__AUTH__APPS__3__…)",
        ),
        (
            "KOOTASK__AUTH__APPS",
            "console",
            "auth.apps: its entries are numbered 0, 1, 2, … (KOOTASK__AUTH__APPS__0__…)",
        ),
        (
            "KOOTASK__SERVER",
            "x",
            "server: must be a table (KOOTASK__SERVER)",
        ),
    ] {
        let said = failed(None, &[ANYBODY, (name, value)]);
        assert!(said.contains(expected), "{name}: {said}");
    }
}

#[test]
fn an_entry_has_one_number() {
    for number in ["00", "+0", "65536", ""] {
        let name = format!("KOOTASK__AUTH__APPS__{number}__APP_ID");
        let said = failed(
            None,
            &[(&name, "console"), ("KOOTASK__AUTH__APPS__0__APP_ID", "c")],
        );
        assert!(
            said.contains(
                "auth.apps: its entries are numbered 0, 1, 2, … (KOOTASK__AUTH__APPS__0__…)"
            ),
            "{said}"
        );
    }
}

#[test]
fn a_key_given_by_two_variables_is_refused() {
    let said = failed(
        None,
        &[
            ANYBODY,
            ("KOOTASK__ID__NODE", "1"),
            ("KOOTASK__ID__node", "2"),
        ],
    );
    assert!(
        said.contains("id.node: is given by two variables whose names differ in case alone"),
        "{said}"
    );
}

#[test]
fn a_variable_that_is_no_utf_8_is_refused_by_its_name() {
    use std::os::unix::ffi::OsStrExt;
    let garbled = std::ffi::OsStr::from_bytes(b"127.0.0.1:1\xff");
    let output = kootask()
        .args(["config", "check"])
        .env("KOOTASK__SERVER__LISTEN", garbled)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("server.listen: is no UTF-8 (KOOTASK__SERVER__LISTEN)"),
        "{said}"
    );

    let name = std::ffi::OsStr::from_bytes(b"KOOTASK__SERVER__LISTEN\xff");
    let output = kootask()
        .args(["config", "check"])
        .env(name, "127.0.0.1:1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    // Others' are not looked at.
    let name = std::ffi::OsStr::from_bytes(b"OTHER\xff");
    let output = kootask()
        .args(["config", "check"])
        .envs([ANYBODY])
        .env(name, "x")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
}
