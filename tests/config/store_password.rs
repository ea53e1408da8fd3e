//! `store.password`: where it may stand, and that nothing shows it.

use std::process::Output;

use kootask::config::{Config, Defaults};
use kootask::store::StoreUrl;
use kootask::store::postgres::PostgresUrl;
use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::store::{at, store};
use super::{keys_at_fault, read, refused};
use crate::support::process::kootask;

const SECRET: &str = "hunter2-hunter2";

/// The password in force.
#[track_caller]
fn password(toml: &str) -> Option<String> {
    match read(toml).store.url {
        StoreUrl::Postgres(url) => url
            .password()
            .map(|password| password.expose_secret().to_owned()),
        other => panic!("{other}"),
    }
}

#[test]
fn the_password_is_of_the_url_or_of_a_setting_or_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "p@ss wörd\n").unwrap();
    let file = format!("password_file = '{}'", file.display());
    let bare = "postgres://me@db/tasks";
    for toml in [
        at("postgres://me:p%40ss%20w%C3%B6rd@db/tasks", ""),
        at(bare, "password = 'p@ss wörd'"),
        at(bare, &file),
    ] {
        assert_eq!(password(&toml).as_deref(), Some("p@ss wörd"), "{toml}");
        let shown = read(&toml).to_string();
        let expected =
            format!("[store]\nurl = \"{bare}\"\npassword = \"[REDACTED, 10 bytes]\"\nmigrate");
        assert!(shown.contains(&expected), "{shown}");
    }
}

#[test]
fn a_password_given_twice_is_refused() {
    let with_password = "postgres://me:secret@db/tasks";
    let message = refused(&at(with_password, "password = 'secret'"));
    assert!(
        message.contains("store.password: is in store.url already"),
        "{message}"
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "secret").unwrap();
    let file = format!("password_file = '{}'", file.display());
    assert_eq!(keys_at_fault(&at(with_password, &file)), ["store.password"]);
    let message = refused(&at(
        "postgres://me@db/tasks",
        &format!("password = 'secret'\n{file}"),
    ));
    assert!(
        message.contains("store: has both password and password_file"),
        "{message}"
    );
}

#[test]
fn a_password_is_for_postgresql_alone() {
    for url in ["sqlite://tasks.db", "memory:"] {
        let message = refused(&at(url, "password = 'secret'"));
        assert!(
            message.contains("store.password: is for a PostgreSQL store"),
            "{message}"
        );
    }
    // Of the default too.
    assert_eq!(
        keys_at_fault(&store("password = 'secret'")),
        ["store.password"]
    );
}

#[test]
fn a_wrong_password_setting_is_told_by_its_key() {
    let url = "postgres://me@db/tasks";
    for (lines, key) in [
        ("password = ''", "store.password"),
        ("password = 123456", "store.password"),
        ("password_file = '/nowhere/password'", "store.password_file"),
    ] {
        assert_eq!(keys_at_fault(&at(url, lines)), [key], "{lines}");
    }
    // Where the URL is at fault, the password is not.
    let wrong = at("postgres://me@db", "password = 'secret'");
    assert_eq!(keys_at_fault(&wrong), ["store.url"]);
}

/// Every form in which a configuration, right or wrong, may show itself.
fn shown(toml: &str) -> String {
    match Config::from_toml(toml, Defaults::Serve) {
        Ok(config) => format!("{config}\n{config:?}\n{config:#?}"),
        Err(error) => format!("{error}\n{error:?}"),
    }
}

#[test]
fn nothing_shows_the_password() {
    let in_url = format!("postgres://me:{SECRET}@db/tasks");
    let bare = "postgres://me@db/tasks";
    let password = format!("password = '{SECRET}'");
    for toml in [
        at(&in_url, ""),
        at(bare, &password),
        // Beside, or as, a mistake.
        at(&in_url, &password),
        at(&in_url, "migrate = 'maybe'"),
        at(&format!("{in_url}#fragment"), ""),
        at(&format!("{in_url}?password={SECRET}"), ""),
        at(&format!("{in_url}?sslmode={SECRET}"), ""),
        at(&format!("postgres://me:{SECRET}@db"), ""),
        at(&format!("postgres://me:{SECRET}@db:port/tasks"), ""),
        at(&format!("postgre://me:{SECRET}@db/tasks"), ""),
        at("sqlite://tasks.db", &password),
        at(bare, &format!("password = ['{SECRET}']")),
        at(bare, &format!("pasword = '{SECRET}'")),
        at(bare, &format!("password = '{SECRET}")),
        format!("store = '{in_url}'"),
        format!("[store]\nurl = ['{in_url}']"),
    ] {
        let shown = shown(&toml);
        assert!(!shown.contains("hunter2"), "{toml}\nis shown as\n{shown}");
    }
    let url: PostgresUrl = in_url.parse().unwrap();
    let shown = format!("{url} {url:?} {:?}", StoreUrl::Postgres(url.clone()));
    assert!(shown.contains("me@db") && !shown.contains("hunter2"));
}

fn check(set: &[(&str, &str)]) -> Output {
    let mut command = kootask();
    command
        .args(["config", "check"])
        .env("KOOTASK__AUTH__MODE", "accept-any")
        .envs(set.iter().copied());
    command.output().unwrap()
}

#[test]
fn config_check_shows_no_password_of_the_environment() {
    let in_url = format!("postgres://me:{SECRET}@db/tasks");
    let bare = ("KOOTASK__STORE__URL", "postgres://me@db/tasks");
    let password = ("KOOTASK__STORE__PASSWORD", SECRET);
    for (set, is_right) in [
        (&[("KOOTASK__STORE__URL", &*in_url)][..], true),
        (&[bare, password], true),
        (&[("KOOTASK__STORE__URL", &in_url), password], false),
        (&[password], false),
        (&[bare, ("KOOTASK__STORE__PASWORD", SECRET)], false),
        (&[bare, password, ("KOOTASK__STORE__MIGRATE", "1")], false),
    ] {
        let output = check(set);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.success(), is_right, "{set:?}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
        assert_eq!(said.contains("[REDACTED, 15 bytes]"), is_right, "{said}");
    }
}

proptest! {
    /// However it is written, an URL with a password in it is shown without.
    #[test]
    fn no_url_shows_its_password(
        head in "(postgres|postgresql|pg|sqlite)?:?/{0,3}[a-z%]{0,4}",
        tail in "@?[a-z]{0,3}(:[0-9a-z]{0,6})?/?[a-z]{0,3}[?#&=a-z]{0,12}",
    ) {
        let toml = at(&format!("{head}:{SECRET}{tail}"), "");
        // A path of SQLite is no secret.
        let is_file = matches!(
            Config::from_toml(&toml, Defaults::Serve),
            Ok(Config { store, .. }) if matches!(store.url, StoreUrl::Sqlite(_))
        );
        prop_assume!(!is_file);
        let shown = shown(&toml);
        prop_assert!(!shown.contains("hunter2"), "{toml}\nis shown as\n{shown}");
    }
}
