//! Secrets leave no trace.

use std::path::Path;
use std::process::Command;

use kootask::config::{Config, Defaults};
use secrecy::ExposeSecret;

use super::{read, refused};
use crate::support::command::command;
use crate::support::process::kootask;

const SECRET: &str = "hunter2-hunter2-";

fn config_with(line: &str) -> String {
    format!("[[auth.apps]]\napp_id = 'console'\ntenant_id = 'acme'\n{line}\n")
}

#[test]
fn neither_display_nor_debug_shows_a_secret() {
    let config = read(&config_with(&format!("app_secret = '{SECRET}'")));
    assert_eq!(config.auth.apps[0].app_secret.expose_secret(), SECRET);
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
            .contains("app_secret = \"[REDACTED, 16 bytes]\"")
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
        // In place of a key's name.
        config_with(&format!("'{SECRET}' = 'app_secret'")),
        config_with(&format!("{SECRET} = 1")),
        format!("{SECRET} = 1"),
        format!("[{SECRET}]\nx = 1"),
        format!("[auth.{SECRET}]\nx = 1"),
        format!("[auth.apps.{SECRET}]\napp_id = 'x'"),
        format!("[[auth.{SECRET}]]\nx = 1"),
        format!("{SECRET} = 1\n{SECRET} = 2"),
        // In place of its file's.
        config_with(&format!("app_secret_file = '{SECRET}'")),
        config_with(&format!("app_secret_file = 'no/{SECRET}'")),
        // Of an app, where an app's id or tenant should be.
        format!("[[auth.apps]]\napp_id = '{SECRET}!'"),
        format!(
            "[[auth.apps]]\napp_id = '{SECRET}'\ntenant_id = 'a'\napp_secret = '{SECRET}'\n\
             [[auth.apps]]\napp_id = '{SECRET}'\ntenant_id = 'b'\napp_secret = '{SECRET}'"
        ),
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
    assert_eq!(text.matches("[REDACTED, 16 bytes]").count(), 2, "{text}");
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
        ("a plain secret it is", "a plain secret it is"),
        ("a line of a secret\n", "a line of a secret"),
        ("a line of a secret\r\n", "a line of a secret"),
        (" a spaced secret it is \n", " a spaced secret it is "),
        ("two lines\nof a secret\n", "two lines\nof a secret"),
        // As some editors begin a file.
        ("\u{feff}a marked secret it is\r\n", "a marked secret it is"),
    ] {
        std::fs::write(&path, written).unwrap();
        let config = read(&config_with(&format!(
            "app_secret_file = '{}'",
            path.display()
        )));
        assert_eq!(
            config.auth.apps[0].app_secret.expose_secret(),
            expected,
            "{written:?}"
        );
    }
}

#[test]
fn no_complaint_of_the_environment_quotes_what_is_in_place_of_a_name() {
    let name = SECRET.replace('-', "X").to_uppercase();
    for variable in [
        format!("KOOTASK__{name}"),
        format!("KOOTASK__{name}__X"),
        format!("KOOTASK__SERVER__{name}"),
        format!("KOOTASK__SEVER__{name}"),
        format!("KOOTASK__AUTH__APPS__{name}__APP_ID"),
        format!("KOOTASK__AUTH__APPS__0__{name}"),
    ] {
        let mut command = kootask();
        let text = said(command.args(["config", "check"]).env(&variable, "x"));
        assert!(text.contains("the configuration is invalid"), "{text}");
        assert!(!text.to_lowercase().contains("hunter2"), "{text}");
    }
}

#[test]
fn an_apps_secret_has_16_bytes_at_least() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let from_file = config_with(&format!("app_secret_file = '{}'", path.display()));
    for (secret, is_long_enough) in [
        ("s", false),
        ("fifteen-bytes--", false),
        ("sixteen-bytes---", true),
        // Bytes, not characters.
        ("密钥密钥密钥", true),
    ] {
        std::fs::write(&path, secret).unwrap();
        let inline = config_with(&format!("app_secret = '{secret}'"));
        for (toml, key) in [(&inline, "app_secret"), (&from_file, "app_secret_file")] {
            if is_long_enough {
                read(toml);
            } else {
                let message = refused(toml);
                let expected = format!("auth.apps[0].{key}: has fewer than 16 bytes");
                assert!(message.contains(&expected), "{message}");
            }
        }
    }
}

#[test]
fn a_secret_that_begins_with_a_byte_order_mark_is_refused() {
    let message = refused(&config_with(
        "app_secret = '\u{feff}a-secret-of-some-length'",
    ));
    assert!(
        message.contains("auth.apps[0].app_secret: begins with a byte order mark"),
        "{message}"
    );
}

#[test]
fn a_secrets_file_is_a_regular_one_with_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(command("mkfifo").arg(&pipe).status().unwrap().success());
    let large = folder.path().join("large");
    std::fs::write(&large, "x".repeat(64 * 1024 + 1)).unwrap();
    let binary = folder.path().join("binary");
    std::fs::write(&binary, [0xff; 32]).unwrap();
    for (path, problem) in [
        (Path::new("/dev/zero"), "is no regular file"),
        (&pipe, "is no regular file"),
        (folder.path(), "is no regular file"),
        (&large, "has more than 65536 bytes"),
        (&binary, "is no UTF-8 text"),
    ] {
        let path = path.display();
        let message = refused(&config_with(&format!("app_secret_file = '{path}'")));
        let expected = format!("auth.apps[0].app_secret_file: {path} {problem}");
        assert!(message.contains(&expected), "{message}");
    }
}

/// Kubernetes mounts them so.
#[test]
fn a_secrets_file_may_be_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("file"), folder.path().join("link"));
    std::fs::write(&file, SECRET).unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let config = read(&config_with(&format!(
        "app_secret_file = '{}'",
        link.display()
    )));
    assert_eq!(config.auth.apps[0].app_secret.expose_secret(), SECRET);
}
