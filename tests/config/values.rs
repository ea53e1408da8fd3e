//! How values are written.

use std::time::Duration;

use kootask::config::Defaults;
use kootask::store::StoreUrl;

use super::{keys_at_fault, read, refused};

#[test]
fn durations_are_written_in_words() {
    for (text, expected) in [
        ("150ms", Duration::from_millis(150)),
        ("10s", Duration::from_secs(10)),
        ("10 s", Duration::from_secs(10)),
        ("1m 30s", Duration::from_secs(90)),
        ("2 minutes", Duration::from_secs(120)),
        ("24h", Duration::from_hours(24)),
        ("PT15S", Duration::from_secs(15)),
    ] {
        let config = read(&format!("[server]\nrequest_timeout = \"{text}\""));
        assert_eq!(config.server.request_timeout, expected, "{text}");
    }
}

#[test]
fn durations_without_a_unit_or_out_of_range_are_refused() {
    for value in [
        "10",
        "\"10\"",
        "\"\"",
        "\"soon\"",
        "\"0s\"",
        "\"-1s\"",
        "\"24h 1ns\"",
        "true",
    ] {
        for key in ["request_timeout", "keep_alive", "shutdown_grace"] {
            let toml = format!("[server]\n{key} = {value}");
            assert_eq!(keys_at_fault(&toml), [format!("server.{key}")], "{value}");
        }
    }
}

#[test]
fn the_clock_skew_is_at_most_a_requests_life() {
    for value in ["0s", "5s", "15m"] {
        read(&format!("[auth]\nclock_skew = \"{value}\""));
    }
    for value in ["-1s", "15m 1s", "later"] {
        let toml = format!("[auth]\nclock_skew = \"{value}\"");
        assert_eq!(keys_at_fault(&toml), ["auth.clock_skew"], "{value}");
    }
}

#[test]
fn sizes_are_written_as_bytes_or_with_a_unit() {
    for (value, expected) in [
        ("1", 1),
        ("65536", 65_536),
        ("\"512\"", 512),
        ("\"64KiB\"", 65_536),
        ("\"64 KiB\"", 65_536),
        ("\"1kB\"", 1000),
        ("\"16MiB\"", 16 * 1024 * 1024),
    ] {
        let config = read(&format!("[server]\nbody_limit = {value}"));
        assert_eq!(config.server.body_limit.as_u64(), expected, "{value}");
    }
}

#[test]
fn sizes_out_of_range_are_refused() {
    for value in [
        "0",
        "-1",
        "\"16777217\"",
        "\"1GiB\"",
        "\"99999999999999999999\"",
        "\"big\"",
        "\"\"",
    ] {
        let toml = format!("[server]\nbody_limit = {value}");
        assert_eq!(keys_at_fault(&toml), ["server.body_limit"], "{value}");
    }
}

#[test]
fn a_node_is_of_16_bits() {
    assert_eq!(read("[id]\nnode = 0").id.node, Some(0));
    assert_eq!(read("[id]\nnode = 65535").id.node, Some(65_535));
    assert_eq!(read("[id]\nnode = \"7\"").id.node, Some(7));
    for value in ["65536", "-1", "1.5", "\"one\"", "[1]"] {
        assert_eq!(
            keys_at_fault(&format!("[id]\nnode = {value}")),
            ["id.node"],
            "{value}"
        );
    }
}

#[test]
fn an_address_has_a_port() {
    let config = read("[server]\nlisten = \"[::1]:0\"\nops_listen = \"0.0.0.0:9090\"");
    assert_eq!(config.server.listen.to_string(), "[::1]:0");
    assert_eq!(config.server.ops_listen.to_string(), "0.0.0.0:9090");
    for value in [
        "\"127.0.0.1\"",
        "\":8080\"",
        "8080",
        "\"localhost:8080\"",
        "\"1.2.3.4:65536\"",
        "\"19000\"",
    ] {
        let toml = format!("[server]\nlisten = {value}");
        assert_eq!(keys_at_fault(&toml), ["server.listen"]);
        let message = refused(&toml);
        assert!(
            message.contains("must be ") && message.contains(", such as \"127.0.0.1:8080\""),
            "{message}"
        );
    }
}

#[test]
fn what_is_wanted_is_told_with_its_range_and_an_example() {
    for (toml, expected) in [
        (
            "id.node = 65536",
            "id.node: must be a whole number from 0 to 65535, such as 1",
        ),
        (
            "store.max_connections = 1",
            "store.max_connections: must be a whole number from 4 to 1000, such as 8",
        ),
        (
            "server.body_limit = '1GiB'",
            "server.body_limit: must be a size in bytes or with a unit from 1 to 16MiB, such as \"16KiB\"",
        ),
        (
            "server.request_timeout = '10'",
            "server.request_timeout: must be a duration with its unit from 1ms to 24h, such as \"10s\"",
        ),
        (
            "server.request_timeout = 10",
            "server.request_timeout: must be text, in quotation marks, such as \"10s\"",
        ),
        (
            "auth.clock_skew = '16m'",
            "auth.clock_skew: must be a duration with its unit from 0s to 15m, such as \"5s\"",
        ),
        (
            "auth.mode = 'none'",
            "auth.mode: must be \"verify\" or \"accept-any\" (line 1)",
        ),
        (
            "directory.file = ''",
            "directory.file: must be a path, such as \"users.csv\"",
        ),
        (
            "auth.tokens = [{ token_sha256 = '', tenant_id = 'a', expires_at = 'soon' }]",
            "auth.tokens[0].expires_at: must be a moment with its offset from UTC, \
             such as \"2027-01-01T00:00:00Z\" (line 1)",
        ),
    ] {
        let message = refused(toml);
        assert!(message.contains(expected), "{toml}: {message}");
    }
}

#[test]
fn a_store_is_memory_a_sqlite_file_or_a_postgresql_database() {
    let url = |text: &str| read(&format!("[store]\nurl = \"{text}\"")).store.url;
    assert_eq!(url("memory:"), StoreUrl::Memory);
    assert_eq!(url("sqlite://a/b.db"), StoreUrl::Sqlite("a/b.db".into()));
    assert_eq!(url("sqlite:///a/b.db"), StoreUrl::Sqlite("/a/b.db".into()));
    for text in [
        "",
        "memory",
        "memory://",
        "sqlite:",
        "sqlite://",
        "sqlite:a.db",
        "sqlite:///a/",
        "postgres://db",
        "a.db",
        "SQLITE://a.db",
    ] {
        assert_eq!(
            keys_at_fault(&format!("[store]\nurl = \"{text}\"")),
            ["store.url"],
            "{text}"
        );
    }
}

#[test]
fn the_mode_is_verify_or_accept_any() {
    read("[auth]\nmode = \"accept-any\"");
    for value in ["\"Verify\"", "\"none\"", "\"\"", "false"] {
        assert_eq!(
            keys_at_fault(&format!("[auth]\nmode = {value}")),
            ["auth.mode"],
            "{value}"
        );
    }
}

#[test]
fn a_tokens_end_is_a_moment_quoted_or_not() {
    let digest = "ab".repeat(32);
    for value in [
        "2030-01-01T00:00:00Z",
        "\"2030-01-01T00:00:00Z\"",
        "\"2030-01-01T08:00:00+08:00\"",
    ] {
        let config = read(&format!(
            "[[auth.tokens]]\ntoken_sha256 = \"{digest}\"\ntenant_id = \"t\"\nexpires_at = {value}"
        ));
        let end = config.auth.tokens[0].expires_at.unwrap();
        assert_eq!(end.to_string(), "2030-01-01T00:00:00Z", "{value}");
    }
    for value in ["\"tomorrow\"", "\"2030-01-01\"", "2030-01-01T00:00:00", "5"] {
        let toml = format!(
            "[[auth.tokens]]\ntoken_sha256 = \"{digest}\"\ntenant_id = \"t\"\nexpires_at = {value}"
        );
        assert_eq!(
            keys_at_fault(&toml),
            ["auth.tokens[0].expires_at"],
            "{value}"
        );
    }
}

#[test]
fn a_secret_is_taken_to_the_letter() {
    use secrecy::ExposeSecret;
    for (value, expected) in [
        ("\"  a spaced one  \"", "  a spaced one  "),
        ("'a back\\slash in it'", "a back\\slash in it"),
        ("\"一个密钥一个密钥\"", "一个密钥一个密钥"),
    ] {
        let config = read(&format!(
            "[[auth.apps]]\napp_id = \"a\"\ntenant_id = \"t\"\napp_secret = {value}"
        ));
        assert_eq!(config.auth.apps[0].app_secret.expose_secret(), expected);
    }
}

/// A bare number would lose digits or zeros on its way, and with it no
/// signature is ever right.
#[test]
fn a_secret_that_is_not_quoted_is_refused() {
    for value in ["1.10", "1e3", "123456", "true"] {
        let toml =
            format!("[[auth.apps]]\napp_id = \"a\"\ntenant_id = \"t\"\napp_secret = {value}");
        assert_eq!(keys_at_fault(&toml), ["auth.apps[0].app_secret"], "{value}");
    }
}

#[test]
fn what_is_no_toml_is_refused_with_its_line() {
    for toml in [
        "[server",
        "listen",
        "[server]\nlisten = ",
        "= 1",
        "[a]\n[a]",
    ] {
        assert!(kootask::config::Config::from_toml(toml, Defaults::Serve).is_err());
    }
    assert!(refused("[server]\n\nlisten = \n").contains("line 3"));
}

#[test]
fn lists_of_networks_and_of_origins_may_be_empty_and_name_what_is_none() {
    for key in ["trusted_proxies", "cors_origins"] {
        read(&format!("[server]\n{key} = []"));
        for value in ["\"x\"", "[\"x\"]", "[1]", "1"] {
            let toml = format!("[server]\n{key} = {value}");
            assert_eq!(keys_at_fault(&toml), [format!("server.{key}")], "{value}");
        }
    }
    let origins = |text: &str| format!("[server]\ncors_origins = [\"{text}\"]");
    read(&origins("https://console.example.com"));
    let said = refused(&origins("https://console.example.com/"));
    assert!(
        said.contains("such as [\"https://console.example.com\"]"),
        "{said}"
    );
    let networks = read("[server]\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]");
    assert_eq!(networks.server.trusted_proxies[1].to_string(), "::1/128");
}
