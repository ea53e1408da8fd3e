//! What is printed as in force is a file that puts the same in force.

use kootask::config::{Config, Defaults};
use kootask::store::StoreUrl;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::read;

/// A section of some of these lines.
fn section(name: &'static str, lines: Vec<Option<String>>) -> String {
    let lines: Vec<_> = lines.into_iter().flatten().collect();
    format!("[{name}]\n{}\n", lines.join("\n"))
}

fn duration(key: &'static str, from: u64) -> impl Strategy<Value = String> {
    (from..86_400_000_u64).prop_map(move |millis| {
        let duration = jiff::SignedDuration::from_millis(i64::try_from(millis).unwrap());
        format!("{key} = \"{duration:#}\"")
    })
}

fn list(key: &'static str, entry: &'static str) -> impl Strategy<Value = String> {
    vec(entry, 0..4).prop_map(move |entries| format!("{key} = {entries:?}"))
}

fn server() -> impl Strategy<Value = String> {
    let address = any::<std::net::SocketAddr>();
    (
        option::of(address.prop_map(|address| format!("listen = \"{address}\""))),
        option::of(
            any::<(u32, u16)>()
                .prop_map(|(ip, port)| std::net::SocketAddr::from((ip.to_be_bytes(), port)))
                .prop_map(|address| match address.port() % 8 {
                    0 => "ops_listen = \"off\"".to_owned(),
                    _ => format!("ops_listen = \"{address}\""),
                }),
        ),
        option::of(duration("request_timeout", 1)),
        option::of(duration("shutdown_grace", 1)),
        option::of(duration("keep_alive", 1000)),
        option::of(duration("drain_delay", 0)),
        option::of((1..=16_777_216_u32).prop_map(|size| format!("body_limit = {size}"))),
        option::of(list(
            "trusted_proxies",
            "(10|192)\\.0\\.0\\.0/[89]|fd00::/8|::1",
        )),
        option::of(list("cors_origins", "https?://[a-z]{1,8}(:8[1-9])?")),
    )
        .prop_map(|(a, b, c, d, e, f, g, h, i)| section("server", vec![a, b, c, d, e, f, g, h, i]))
}

/// Some with a password, which is printed as a setting of its own.
fn postgres_url() -> impl Strategy<Value = String> {
    let user = "([a-z%40é]{1,6}(:[a-zé%20!]{1,8})?)".prop_map(|user| user.replace('%', "%25"));
    let host = "([a-z][a-z0-9.-]{0,8}|%2Frun%2Fsocket|\\[::1\\])(:[1-9][0-9]{0,3})?";
    let parameters = prop::sample::select(vec![
        "",
        "?sslmode=require",
        "?sslmode=verify-full&sslrootcert=/etc/the%20root.crt",
        "?sslcert=c.crt&sslkey=c.key",
    ]);
    (user, host, "[a-zé_]{1,8}", parameters).prop_map(|(user, host, database, parameters)| {
        format!("postgres://{user}@{host}/{database}{parameters}")
    })
}

fn store_id_and_directory() -> impl Strategy<Value = String> {
    let path = "[ ->@-~é中]{0,12}[!-.0->@-~]".prop_map(|path| format!("sqlite://{path}"));
    let url = prop_oneof![Just("memory:".to_owned()), path, postgres_url()]
        .prop_map(|url| format!("url = {}", serde_json::to_string(&url).unwrap()));
    let migrate = any::<bool>().prop_map(|migrate| format!("migrate = {migrate}"));
    let connections = (4..=1000_u16).prop_map(|most| format!("max_connections = {most}"));
    let store = (
        option::of(url),
        option::of(migrate),
        option::of(connections),
    )
        .prop_map(|(a, b, c)| section("store", vec![a, b, c]));
    let node = any::<u16>().prop_map(|node| format!("node = {node}"));
    let file = "[ -~é中]{1,12}"
        .prop_map(|path| format!("file = {}", serde_json::to_string(&path).unwrap()));
    (store, option::of(node), option::of(file)).prop_map(|(store, node, file)| {
        [
            store,
            section("id", vec![node]),
            section("directory", vec![file]),
        ]
        .concat()
    })
}

fn limits() -> impl Strategy<Value = String> {
    let number = || option::of(1..=1_000_000_u32);
    let line = |key: &'static str, number: Option<u32>| number.map(|n| format!("{key} = {n}"));
    (number(), number(), number()).prop_map(move |(rate, burst, in_flight)| {
        let burst = rate.and(burst);
        let lines = vec![
            line("requests_per_second", rate),
            line("burst", burst),
            line("in_flight", in_flight),
        ];
        section("limits", lines)
    })
}

fn auth() -> impl Strategy<Value = String> {
    let mode = prop::sample::select(vec!["mode = 'verify'", "mode = 'accept-any'"]);
    let skew = (0..=900_u32).prop_map(|seconds| format!("clock_skew = '{seconds}s'"));
    let id = "[A-Za-z0-9_-]{1,64}";
    let app = (
        id,
        any::<String>().prop_map(|rest| format!("of 16 bytes and {rest}")),
    )
        .prop_map(|(id, secret)| {
            // The same tenant for the same app.
            let secret = toml_string(&secret);
            format!("[[auth.apps]]\napp_id = '{id}'\ntenant_id = '{id}'\napp_secret = {secret}\n")
        });
    let token = (
        any::<[u8; 32]>(),
        id,
        option::of(id),
        option::of(0..253_402_207_200_i64),
    )
        .prop_map(|(digest, tenant, user, end)| {
            let digest = hex::encode(digest);
            let mut entry =
                format!("[[auth.tokens]]\ntoken_sha256 = '{digest}'\ntenant_id = '{tenant}'\n");
            if let Some(user) = user {
                entry.push_str(&format!("user_id = '{user}'\n"));
            }
            if let Some(end) = end {
                let end = jiff::Timestamp::from_second(end).unwrap();
                entry.push_str(&format!("expires_at = '{end}'\n"));
            }
            entry
        });
    (
        option::of(mode.prop_map(str::to_owned)),
        option::of(skew),
        vec(app, 0..3),
        vec(token, 0..3),
    )
        .prop_map(|(mode, skew, apps, tokens)| {
            section("auth", vec![mode, skew]) + &apps.concat() + &tokens.concat()
        })
}

/// A string as TOML writes it, every character that needs it escaped.
fn toml_string(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        ' '..='~' if c != '"' && c != '\\' => c.to_string(),
        _ => format!("\\U{:08X}", u32::from(c)),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

fn has_password(url: &StoreUrl) -> bool {
    matches!(url, StoreUrl::Postgres(url) if url.password().is_some())
}

/// The settings but for the secrets, which are not printed.
fn without_secrets(config: &Config) -> String {
    let text = config.to_string();
    let lines = text
        .lines()
        .filter(|line| !line.starts_with("app_secret") && !line.starts_with("password"));
    lines.collect::<Vec<_>>().join("\n")
}

proptest! {
    #[test]
    fn any_valid_settings_are_read_back_as_printed(
        server in server(), store_id_and_directory in store_id_and_directory(), auth in auth(), limits in limits(), dev in any::<bool>(),
    ) {
        let defaults = if dev { Defaults::Dev } else { Defaults::Serve };
        let config = Config::from_toml(&(server + &store_id_and_directory + &limits + &auth), defaults).unwrap();
        // Nothing is left to defaults: what is printed means the same to both.
        for other in [Defaults::Serve, Defaults::Dev] {
            // But for the table that is the stand-in's alone.
            let mut config = config.clone();
            config.dev = config.dev.filter(|_| other == Defaults::Dev);
            let again = Config::from_toml(&config.to_string(), other);
            prop_assert!(again.is_ok(), "{}\n{:?}", config, again);
            let mut again = again.unwrap();
            again.dev = again.dev.filter(|_| defaults == Defaults::Dev);
            prop_assert_eq!(without_secrets(&again), without_secrets(&config));
            prop_assert_eq!(&again.server.listen, &config.server.listen);
            prop_assert_eq!(&again.server.ops_listen, &config.server.ops_listen);
            prop_assert_eq!(again.server.request_timeout, config.server.request_timeout);
            prop_assert_eq!(&again.server.trusted_proxies, &config.server.trusted_proxies);
            prop_assert_eq!(&again.server.cors_origins, &config.server.cors_origins);
            prop_assert_eq!(again.server.keep_alive, config.server.keep_alive);
            prop_assert_eq!(again.server.drain_delay, config.server.drain_delay);
            prop_assert_eq!(again.server.shutdown_grace, config.server.shutdown_grace);
            prop_assert_eq!(again.server.body_limit, config.server.body_limit);
            prop_assert_eq!(again.store.url.to_string(), config.store.url.to_string());
            prop_assert_eq!(again.store.migrate, config.store.migrate);
            if let StoreUrl::Postgres(url) = &config.store.url {
                prop_assert_eq!(again.store.max_connections, config.store.max_connections);
                prop_assert_eq!(has_password(&again.store.url), url.password().is_some());
            } else {
                prop_assert_eq!(&again.store.url, &config.store.url);
            }
            prop_assert_eq!(again.id.node, config.id.node);
            prop_assert_eq!(&again.directory.file, &config.directory.file);
            prop_assert_eq!(again.limits.limits(), config.limits.limits());
            prop_assert_eq!(again.auth.mode, config.auth.mode);
            prop_assert_eq!(config.differences(&config.clone()), Vec::<String>::new());
            // Secrets are not printed.
            for key in again.differences(&config) {
                prop_assert!(["auth.apps", "store.password"].contains(&key.as_str()), "{}", key);
            }
            prop_assert_eq!(again.auth.clock_skew, config.auth.clock_skew);
        }
    }
}

#[test]
fn a_path_with_a_quote_is_printed_as_it_must_be_written() {
    let config = read(r#"store.url = "sqlite://a\"b\\c.db""#);
    assert_eq!(read(&config.to_string()).store.url, config.store.url);
}
