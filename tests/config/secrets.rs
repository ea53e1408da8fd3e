//! Secrets leave no trace.

use std::process::Command;

use kootask::config::{Config, Defaults};
use secrecy::ExposeSecret;

use super::{read, refused};
use crate::support::process::kootask;

const SECRET: &str = "hunter2-hunter2";

fn config_with(line: &str) -> String {
    format!("[[auth.apps]]\napp_id = 'console'\ntenant_id = 'acme'\n{line}\n")
}

#[test]
fn neither_display_nor_debug_shows_a_secret() {
    let config = read(&config_with(&format!("app_secret = '{SECRET}'")));
    assert_eq!(config.auth.apps[0].secret.expose_secret(), SECRET);
    let credentials = config.auth.credentials();
    for text in [
        config.to_string(),
        format!("{config:?}"),
        format!("{config:#?}"),
        format!("{credentials:?}"),
    ] {
        assert!(text.contains("console"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert!(
        config
            .to_string()
            .contains("app_secret = \"[REDACTED, 15 bytes]\"")
    );
}

#[test]
fn no_complaint_quotes_a_secret() {
    let leaks = [
        // Given twice over.
        config_with(&format!("app_secret = '{SECRET}'\napp_secret_file = '/f'")),
        // Beside a mistake.
        config_with(&format!("app_secret = '{SECRET}'\ntenant = 'x'")),
        config_with(&format!("app_secrets = '{SECRET}'")),
        config_with(&format!("app_secret = ['{SECRET}']")),
        config_with(&format!("app_secret = {{ value = '{SECRET}' }}")),
        // Not TOML, on the secret's own line.
        config_with(&format!("app_secret = '{SECRET}")),
        config_with(&format!("app_secret = {SECRET}")),
        config_with(&format!("app_secret = '{SECRET}' 'x'")),
        config_with(&format!("app_secret = '{SECRET}'\napp_secret = '{SECRET}'")),
        // Where a table should be.
        format!("[auth]\napps = ['{SECRET}']"),
        format!("[auth]\napps = '{SECRET}'"),
        format!("auth = '{SECRET}'"),
    ]
    .into_iter()
    .filter(|toml| {
        let error = Config::from_toml(toml, Defaults::Serve).unwrap_err();
        format!("{error} {error:?}").contains("hunter2")
    });
    let leaks: Vec<_> = leaks.map(|toml| refused(&toml)).collect();
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}

/// All that a command says.
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let (out, err) = (output.stdout, output.stderr);
    String::from_utf8(out).unwrap() + &String::from_utf8(err).unwrap()
}

#[test]
fn config_check_prints_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    let file = folder.path().join("kootask.toml");
    let inline = config_with(&format!("app_secret = '{SECRET}'"));
    let from_file = config_with(&format!("app_secret_file = '{}'", secret.display()));
    std::fs::write(&file, inline + &from_file).unwrap();
    let text = said(kootask().args(["config", "check", "--config"]).arg(&file));
    assert_eq!(text.matches("[REDACTED, 15 bytes]").count(), 2, "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn config_check_prints_no_secret_of_the_environment() {
    let mut command = kootask();
    command
        .args(["config", "check"])
        .env("KOOTASK__AUTH__APPS__0__APP_ID", "console")
        .env("KOOTASK__AUTH__APPS__0__APP_SECRET", SECRET);
    // Refused: the tenant is missing.
    let text = said(&mut command);
    assert!(
        text.contains("tenant_id") && !text.contains("hunter2"),
        "{text}"
    );
    let text = said(command.env("KOOTASK__AUTH__APPS__0__TENANT_ID", "acme"));
    assert!(
        text.contains("console") && !text.contains("hunter2"),
        "{text}"
    );
}

#[test]
fn a_secret_in_a_file_is_read_without_its_line_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    for (written, expected) in [
        ("plain", "plain"),
        ("line\n", "line"),
        ("line\r\n", "line"),
        (" spaced \n", " spaced "),
        ("two\nlines\n", "two\nlines"),
    ] {
        std::fs::write(&path, written).unwrap();
        let config = read(&config_with(&format!(
            "app_secret_file = '{}'",
            path.display()
        )));
        assert_eq!(
            config.auth.apps[0].secret.expose_secret(),
            expected,
            "{written:?}"
        );
    }
}
