//! What is in force when nothing is configured.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::SignedDuration;
use kootask::auth::AuthMode;
use kootask::config::{Config, Defaults, OpsListen};
use kootask::store::StoreUrl;

#[test]
fn serve_verifies_and_keeps_tasks_in_a_file() {
    let config = Config::from_toml("", Defaults::Serve).unwrap();
    assert_eq!(config.auth.mode, AuthMode::Verify);
    assert_eq!(config.store.url, StoreUrl::Sqlite("data/kootask.db".into()));
}

#[test]
fn dev_takes_anybody_and_keeps_tasks_in_memory() {
    let config = Config::from_toml("", Defaults::Dev).unwrap();
    assert_eq!(config.auth.mode, AuthMode::AcceptAny);
    assert_eq!(config.store.url, StoreUrl::Memory);
}

#[test]
fn both_listen_on_loopback_with_the_same_limits() {
    for defaults in [Defaults::Serve, Defaults::Dev] {
        let config = Config::from_toml("", defaults).unwrap();
        let server = config.server;
        assert_eq!(server.listen, SocketAddr::from(([127, 0, 0, 1], 8080)));
        let ops = match defaults {
            Defaults::Serve => OpsListen::At(SocketAddr::from(([127, 0, 0, 1], 8081))),
            Defaults::Dev => OpsListen::Off,
        };
        assert_eq!(server.ops_listen, ops);
        assert!(server.tls_files().is_none());
        assert!(server.trusted_proxies.is_empty() && server.cors_origins.is_empty());
        assert_eq!(server.request_timeout, Duration::from_secs(10));
        assert_eq!(server.body_limit.as_u64(), 16 * 1024);
        assert_eq!(server.keep_alive, Duration::from_secs(75));
        assert_eq!(server.drain_delay, Duration::ZERO);
        assert_eq!(server.shutdown_grace, Duration::from_secs(7));
        assert_eq!(config.id.node, None);
        assert_eq!(config.directory.file, None);
        assert_eq!(config.auth.clock_skew, SignedDuration::from_secs(5));
        assert!(config.auth.apps.is_empty() && config.auth.tokens.is_empty());
    }
}

#[test]
fn a_file_of_empty_sections_changes_nothing() {
    let empty = "[server]\n[store]\n[id]\n[directory]\n[auth]\napps = []\ntokens = []\n";
    let of = |toml| {
        Config::from_toml(toml, Defaults::Serve)
            .unwrap()
            .to_string()
    };
    assert_eq!(of(empty), of(""));
}

#[test]
fn the_file_wins_over_the_defaults_of_dev_too() {
    let toml = "[auth]\nmode = \"verify\"\n[store]\nurl = \"sqlite:///tmp/x.db\"";
    let config = Config::from_toml(toml, Defaults::Dev).unwrap();
    assert_eq!(config.auth.mode, AuthMode::Verify);
    assert_eq!(config.store.url, StoreUrl::Sqlite("/tmp/x.db".into()));
}
