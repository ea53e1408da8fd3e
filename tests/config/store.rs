//! `[store]`: PostgreSQL's URL, and how a database is used.

use super::{keys_at_fault, read, refused};

pub(super) fn store(lines: &str) -> String {
    format!("[store]\n{lines}\n")
}

/// The settings of a store at this URL and with these lines.
pub(super) fn at(url: &str, lines: &str) -> String {
    store(&format!("url = '{url}'\n{lines}"))
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
        (
            "host=/var/run/postgresql",
            "the folder of a socket is written",
        ),
        (
            "user=me&sslmode=require",
            "names host, port, user and database before",
        ),
        ("sslmode=required", "sslmode must be disable, "),
        ("sslmode=", "sslmode must be disable, "),
        ("sslmode=allow", "sslmode must be disable, "),
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
fn connections_are_4_to_1000() {
    let of = |value: &str| {
        read(&store(&format!("max_connections = {value}")))
            .store
            .max_connections
    };
    assert_eq!((of("4"), of("1000"), of("'8'")), (4, 1000, 8));
    for value in ["0", "3", "1001", "65535"] {
        let message = refused(&store(&format!("max_connections = {value}")));
        assert!(
            message.contains(
                "store.max_connections: must be a whole number from 4 to 1000, such as 8"
            ),
            "{value}: {message}"
        );
    }
    for value in ["-1", "65536", "2.5", "true", "'many'"] {
        let toml = store(&format!("max_connections = {value}"));
        assert_eq!(keys_at_fault(&toml), ["store.max_connections"], "{value}");
    }
    let default = read("").store.max_connections;
    assert!((7..=22).contains(&default), "{default}");
}

#[test]
fn every_mistake_of_the_store_is_told_at_once() {
    let toml = at(
        "postgres://me@db/tasks?sslmode=no",
        "password = ''\nmigrate = 1\nmax_connections = 1\npool = 3",
    );
    let mut keys = keys_at_fault(&toml);
    keys.sort();
    assert_eq!(
        keys,
        [
            "store",
            "store.max_connections",
            "store.migrate",
            "store.password",
            "store.url",
        ]
    );
}

#[test]
fn a_socket_given_as_a_parameter_is_told_how_it_is_written() {
    for url in [
        "postgres:///tasks?host=/var/run/postgresql",
        "postgres://me@/tasks?host=/var/run/postgresql",
        "postgres://me@db/tasks?host=%2Frun",
        "postgres://db/tasks?user=me",
    ] {
        let message = refused(&at(url, ""));
        assert!(
            message.contains("postgres://USER@%2Fvar%2Frun%2Fpostgresql/DATABASE"),
            "{url}: {message}"
        );
    }
}

#[test]
fn what_others_write_for_sqlite_is_told_and_makes_no_file() {
    for (url, problem) in [
        (
            "sqlite://tasks.db?mode=rwc",
            "has no parameters such as ?mode=rwc",
        ),
        (
            "sqlite:tasks.db?mode=ro",
            "has no parameters such as ?mode=rwc",
        ),
        ("sqlite://?", "has no parameters"),
        ("sqlite::memory:", "the store in memory is written memory:"),
        (
            "sqlite://:memory:",
            "the store in memory is written memory:",
        ),
        (
            "sqlite://x?mode=memory",
            "the store in memory is written memory:",
        ),
        ("memory:x", "the store in memory is written memory:"),
    ] {
        let message = refused(&at(url, ""));
        assert!(message.contains(problem), "{url}: {message}");
    }
}
