//! `[store]`: PostgreSQL's URL, its password, and how a database is used.

use std::process::Output;

use kootask::config::{Config, ConfigError, Defaults};
use kootask::store::StoreUrl;
use kootask::store::postgres::PostgresUrl;
use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::{keys_at_fault, read, refused};
use crate::support::process::kootask;

const SECRET: &str = "hunter2-hunter2";

fn store(lines: &str) -> String {
    format!("[store]\n{lines}\n")
}

/// The settings of a store at this URL and with these lines.
fn at(url: &str, lines: &str) -> String {
    store(&format!("url = '{url}'\n{lines}"))
}

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
fn a_postgresql_url_names_a_user_a_host_and_a_database() {
    for url in [
        "postgres://me@db/tasks",
        "postgresql://me@db/tasks",
        "postgres://me@db:6432/tasks",
        "postgres://me@10.0.0.7/tasks",
        "postgres://me@[::1]:5432/tasks",
        // A folder of a socket.
        "postgres://me@%2Fvar%2Frun%2Fpostgresql/tasks",
        "postgres://m%C3%AB%40home@db/ta%20sks",
        "postgres://me@db/tasks?sslmode=disable",
        "postgres://me@db/tasks?sslmode=verify-full&sslrootcert=/etc/root.crt",
        "postgres://me@db/tasks?sslmode=verify-ca&sslrootcert=/etc/root%20of%20all.crt",
        "postgres://me@db/tasks?sslmode=require&sslcert=/c.crt&sslkey=/c.key",
    ] {
        let config = read(&at(url, ""));
        assert_eq!(config.store.url.to_string(), url);
        assert_eq!(password(&at(url, "")), None);
    }
}

#[test]
fn what_is_no_postgresql_url_is_told_how_it_is_written() {
    for url in [
        "postgres:",
        "postgres:tasks",
        "postgres://",
        "postgres:///tasks",
        "postgres://db/tasks",
        "postgres://:secret@db/tasks",
        "postgres://me@/tasks",
        "postgres://me@db",
        "postgres://me@db/",
        "postgres://me@db:port/tasks",
        "postgres://me@db:65536/tasks",
        "postgres://me@db/tasks#fragment",
        // No UTF-8.
        "postgres://%FF@db/tasks",
        "postgres://me:%FF@db/tasks",
        "postgres://me@db/%FF",
    ] {
        let message = refused(&at(url, ""));
        assert!(
            message.contains(
                "store.url: a PostgreSQL store is written \
                 postgres://USER[:PASSWORD]@HOST[:PORT]/DATABASE[?sslmode=MODE]"
            ),
            "{url}: {message}"
        );
    }
}

#[test]
fn a_parameter_that_would_be_ignored_is_refused() {
    for (parameters, problem) in [
        ("sslmod=require", "may have sslmode, sslrootcert"),
        ("connect_timeout=3", "may have sslmode, sslrootcert"),
        ("password=secret", "may have sslmode, sslrootcert"),
        ("sslmode=required", "sslmode must be disable, "),
        ("sslmode=", "sslmode must be disable, "),
        // libpq would verify by it, this program would not.
        ("sslrootcert=/ca.crt", "sslrootcert needs sslmode=verify-"),
        (
            "sslmode=require&sslrootcert=/ca.crt",
            "sslrootcert needs sslmode=verify-",
        ),
    ] {
        let message = refused(&at(&format!("postgres://me@db/tasks?{parameters}"), ""));
        assert!(message.contains(problem), "{parameters}: {message}");
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
            format!("[store]\nurl = \"{bare}\"\npassword = \"[REDACTED, 10 bytes]\"\nmax_");
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

#[test]
fn migrate_is_true_or_false() {
    assert!(read("").store.migrate);
    for (value, expected) in [
        ("true", true),
        ("false", false),
        ("'true'", true),
        ("'false'", false),
    ] {
        let toml = store(&format!("migrate = {value}"));
        assert_eq!(read(&toml).store.migrate, expected, "{value}");
    }
    for value in ["1", "0", "'yes'", "'True'", "''", "['true']", "2024-01-01"] {
        let message = refused(&store(&format!("migrate = {value}")));
        assert!(
            message.contains("store.migrate: must be true or false"),
            "{value}: {message}"
        );
    }
}

#[test]
fn connections_are_2_to_1000() {
    let of = |value: &str| {
        read(&store(&format!("max_connections = {value}")))
            .store
            .max_connections
    };
    assert_eq!((of("2"), of("1000"), of("'7'")), (2, 1000, 7));
    for value in ["0", "1", "1001", "65535"] {
        let message = refused(&store(&format!("max_connections = {value}")));
        assert!(
            message.contains("store.max_connections: must be between 2 and 1000"),
            "{value}: {message}"
        );
    }
    for value in ["-1", "65536", "2.5", "true", "'many'"] {
        let toml = store(&format!("max_connections = {value}"));
        assert_eq!(keys_at_fault(&toml), ["store.max_connections"], "{value}");
    }
    let default = read("").store.max_connections;
    assert!((5..=20).contains(&default), "{default}");
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

/// A mistake is one of the settings, not a failure of their reading.
#[test]
fn every_mistake_of_the_store_is_told_at_once() {
    let toml = at(
        "postgres://me@db/tasks?sslmode=no",
        "password = ''\nmigrate = 1\nmax_connections = 1\npool = 3",
    );
    let Err(ConfigError::Invalid(settings)) = Config::from_toml(&toml, Defaults::Serve) else {
        panic!("{toml}");
    };
    let mut keys: Vec<_> = settings.0.into_iter().map(|(key, _)| key).collect();
    keys.sort();
    assert_eq!(
        keys,
        [
            "store.max_connections",
            "store.migrate",
            "store.password",
            "store.pool",
            "store.url",
        ]
    );
}
