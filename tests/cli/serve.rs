//! `kootask serve`, as a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{outcome, run};
use crate::support::client::{Call, TRANSFER, USER};
use crate::support::command::command;
use crate::support::http2;
use crate::support::process::{kootask, send_signal};
use crate::support::wire::Wire;

/// How long a line of the log is waited for.
const LIMIT: Duration = Duration::from_secs(60);

/// A running `kootask serve`; killed when dropped.
pub(crate) struct Service {
    pub(crate) child: Child,
    pub(crate) log: BufReader<ChildStdout>,
    pub(crate) address: SocketAddr,
    /// The lines up to the address.
    pub(crate) said: Vec<Value>,
}

impl Service {
    /// On a port of its own, with memory for a store, and what else is set.
    pub(crate) fn start(set: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let mut command = kootask();
        command
            .arg("serve")
            .env("KOOTASK__SERVER__LISTEN", "127.0.0.1:0")
            .env("KOOTASK__STORE__URL", "memory:")
            .stdout(Stdio::piped());
        set(&mut command);
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stdout.take().unwrap());
        let mut said = Vec::new();
        let address = loop {
            let line = next_line(&mut log).expect("a line that tells the address");
            let is_ready = line["message"] == "ready";
            said.push(line);
            if is_ready {
                let address = &said.last().unwrap()["address"];
                break address.as_str().unwrap().parse().unwrap();
            }
        };
        Self {
            child,
            log,
            address,
            said,
        }
    }

    /// The next line of the log of which this is so. One that does not come is
    /// waited for in vain, but not for ever.
    pub(crate) fn line(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        let (found, waits) = mpsc::channel::<()>();
        let id = self.child.id().to_string();
        std::thread::spawn(move || {
            if waits.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
                let _ = command("kill").args(["-s", "KILL", &id]).status();
            }
        });
        loop {
            let line = next_line(&mut self.log).expect("it ended, or the line did not come");
            if is_it(&line) {
                drop(found);
                return line;
            }
        }
    }

    /// The address of the operations listener, where there is one.
    pub(crate) fn ops(&self) -> SocketAddr {
        let lines = self.said.iter();
        let mut lines = lines.filter(|line| line["message"] == "operations listener");
        let address = &lines.next().unwrap()["address"];
        address.as_str().unwrap().parse().unwrap()
    }

    /// The value of this series, where there is an operations listener.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://{}/metrics", self.ops());
        let text = client.get(url).send().await.unwrap().text().await.unwrap();
        let mut values = text.lines().filter_map(|line| line.strip_prefix(series));
        values.next().unwrap().trim().parse().unwrap()
    }

    /// Sends the signal; the exit code and the rest of the log.
    pub(crate) fn end(mut self, signal: &str) -> (Option<i32>, String) {
        send_signal(&self.child, signal);
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn next_line(log: &mut impl BufRead) -> Option<Value> {
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    (!line.is_empty()).then(|| serde_json::from_str(&line).unwrap())
}

/// Lets the bearer of `token` in, as the refusal of an empty configuration says.
pub(crate) fn admit<'a>(command: &'a mut Command, token: &str) -> &'a mut Command {
    command
        .env(
            "KOOTASK__AUTH__TOKENS__0__TOKEN_SHA256",
            hex::encode(Sha256::digest(token)),
        )
        .env("KOOTASK__AUTH__TOKENS__0__TENANT_ID", "my-company")
}

#[test]
fn without_a_credential_it_refuses_and_says_how_to_add_one() {
    for command in [&["serve"][..], &["config", "check"]] {
        let outcome = run(command);
        assert_eq!(outcome.code, Some(1));
        assert_eq!(outcome.out, "");
        for hint in [
            "no credential is configured",
            "[[auth.tokens]]",
            "token_sha256",
            "sha256sum",
            "[[auth.apps]]",
            "app_secret_file",
            "--config",
            "KOOTASK__AUTH__TOKENS__0__TOKEN_SHA256",
            "kootask dev",
        ] {
            assert!(outcome.err.contains(hint), "{hint} in {}", outcome.err);
        }
    }
}

#[tokio::test]
async fn with_the_advised_token_it_serves_its_bearer() {
    let service = Service::start(|command| admit(command, "the token"));
    // A token of RFC 6750 has no space; this one has, and is therefore no use.
    let call = Call::create(service.address, TRANSFER);
    assert_eq!(call.clone().bearer("the token").send().await.status, 401);
    drop(service);

    let service = Service::start(|command| admit(command, "the-token"));
    let call = Call::create(service.address, TRANSFER);
    call.clone().bearer("the-token").send().await.task_id();
    assert_eq!(call.send().await.status, 401);
    assert_eq!(service.end("TERM").0, Some(0));
}

#[tokio::test]
async fn the_advised_file_serves_too() {
    let folder = tempfile::tempdir().unwrap();
    let (file, secret) = (
        folder.path().join("kootask.toml"),
        folder.path().join("secret"),
    );
    std::fs::write(&secret, "the-consoles-secret\n").unwrap();
    let advice = run(&["serve"]).err;
    let advised: String = advice
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with("KOOTASK__"))
        .map(|line| format!("{line}\n"))
        .collect();
    let digest = hex::encode(Sha256::digest("the-token"));
    let advised = advised
        .replace('…', &digest)
        .replace("/run/secrets/my-console", secret.to_str().unwrap());
    std::fs::write(&file, advised).unwrap();
    let service = Service::start(|command| command.arg("--config").arg(&file));
    let call = Call::create(service.address, TRANSFER);
    call.clone().bearer("the-token").send().await.task_id();
    call.signed("my-console", "the-consoles-secret")
        .send()
        .await
        .task_id();
}

#[test]
fn a_signal_ends_it_with_0() {
    for signal in ["TERM", "INT"] {
        let service = Service::start(|command| admit(command, "t"));
        let (code, log) = service.end(signal);
        assert_eq!(code, Some(0), "{signal}");
        assert!(
            log.contains("shutting down") && log.contains("stopped"),
            "{log}"
        );
    }
}

#[tokio::test]
async fn every_request_is_logged_with_its_trace_id_and_without_secrets() {
    let service = Service::start(|command| admit(command, "top-secret-token"));
    let call = Call::create(service.address, TRANSFER).header("X-Traceid", "trace-me");
    call.clone()
        .bearer("top-secret-token")
        .send()
        .await
        .task_id();
    call.bearer("another-secret")
        .header("X-Traceid", "trace-me-too")
        .send()
        .await;
    let (_, log) = service.end("TERM");
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |id: &str| {
        lines
            .iter()
            .find(|line| line["trace_id"] == id)
            .expect("a line")
    };

    let taken = of("trace-me");
    assert_eq!(taken["status"], 200);
    assert_eq!(taken["code"], 0);
    assert_eq!(taken["user"], USER);
    assert_eq!(taken["tenant"], "my-company");
    let peer = taken["peer"].as_str().unwrap();
    assert!(peer.starts_with("127.0.0.1:"), "{peer}");
    assert_eq!(taken["path"], kootask::api::CREATE);
    let refused = of("trace-me-too");
    assert_eq!(
        (&refused["status"], &refused["code"]),
        (&401.into(), &13_000_101.into())
    );
    assert_eq!(refused["error"], "unauthenticated: unknown token");
    assert!(!log.contains("secret"), "{log}");
}

#[tokio::test]
async fn the_log_tells_whom_a_trusted_proxy_has_a_request_from_and_nobody_else() {
    for (proxies, peer) in [
        ("127.0.0.0/8, 10.0.0.1", "203.0.113.7"),
        ("10.0.0.1", "127.0.0.1:"),
    ] {
        let service = Service::start(|command| {
            admit(command, "a-token").env("KOOTASK__SERVER__TRUSTED_PROXIES", proxies)
        });
        let call = Call::create(service.address, TRANSFER).bearer("a-token");
        let call = call.header("X-Forwarded-For", "198.51.100.1, 203.0.113.7, 10.0.0.1");
        assert_eq!(call.send().await.status, 200);
        let (_, log) = service.end("TERM");
        let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
        let mut lines = lines.filter(|line: &Value| line["message"] == "request");
        let told = lines.next().unwrap()["peer"].clone();
        assert!(told.as_str().unwrap().starts_with(peer), "{told}");
    }
}

#[tokio::test]
async fn the_log_of_a_refused_signature_names_the_host_and_what_was_signed_over() {
    let service = Service::start(|command| admit(command, "top-secret-token"));
    let host = service.address.to_string();
    let call = Call::create(service.address, TRANSFER).header("X-Traceid", "trace-me");
    let answer = call.signed("console", "a-wrong-secret").send().await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.body.get("details"), None);
    let (_, log) = service.end("TERM");
    let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
    let line = lines
        .into_iter()
        .find(|line: &Value| line["trace_id"] == "trace-me")
        .expect("a line");
    assert_eq!(
        line["error"],
        format!(
            "unauthenticated: unknown app or wrong signature; \
             signed over host;x-date;x-user-id, with the Host {host}"
        )
    );
    assert!(!log.contains("Signature="), "{log}");
}

/// The lines of these requests, told by their trace ids.
fn lines_of<'a>(log: &str, trace_ids: impl IntoIterator<Item = &'a str>) -> Vec<Value> {
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |id| lines.iter().find(|line| line["trace_id"] == id).cloned();
    trace_ids
        .into_iter()
        .map(|id| of(id).expect("a line"))
        .collect()
}

#[tokio::test]
async fn a_requests_line_tells_the_credential_and_the_task() {
    let digest = hex::encode(Sha256::digest("bound"));
    let service = Service::start(|command| {
        admit(command, "the-token")
            .env("KOOTASK__AUTH__TOKENS__1__TOKEN_SHA256", &digest)
            .env("KOOTASK__AUTH__TOKENS__1__TENANT_ID", "my-company")
            .env("KOOTASK__AUTH__TOKENS__1__USER_ID", "another")
            .env("KOOTASK__AUTH__APPS__0__APP_ID", "my-console")
            .env("KOOTASK__AUTH__APPS__0__TENANT_ID", "my-company")
            .env(
                "KOOTASK__AUTH__APPS__0__APP_SECRET",
                "secret-of-the-console",
            )
    });
    let create =
        |trace_id: &str| Call::create(service.address, TRANSFER).header("X-Traceid", trace_id);
    let by_token = create("token").bearer("the-token").send().await.task_id();
    let signed = create("app").signed("my-console", "secret-of-the-console");
    let by_app = signed.send().await.task_id();
    let forged = create("forged").signed("my-console", "a guess");
    assert_eq!(forged.send().await.status, 401);
    assert_eq!(create("bound").bearer("bound").send().await.status, 403);
    assert_eq!(create("unknown").bearer("guess").send().await.status, 401);
    let detail = Call::new(
        service.address,
        "GET",
        &format!("/koodrive/ose/v1/task/{by_app}"),
    )
    .header("X-Traceid", "detail")
    .header("X-User-Id", USER)
    .at(jiff::Timestamp::now())
    .bearer("the-token");
    assert_eq!(detail.send().await.status, 200);

    let (_, log) = service.end("TERM");
    let lines = lines_of(
        &log,
        ["token", "app", "detail", "bound", "forged", "unknown"],
    );
    let of_token = |token: &str| {
        let digest = hex::encode(Sha256::digest(token));
        Value::from(format!("token-{}", &digest[..8]))
    };
    let credentials = [
        of_token("the-token"),
        "my-console".into(),
        of_token("the-token"),
        of_token("bound"),
        // Whoever it was.
        Value::Null,
        Value::Null,
    ];
    let id = |id: i64| Value::from(id.to_string());
    let tasks = [
        id(by_token),
        id(by_app),
        id(by_app),
        Value::Null,
        Value::Null,
        Value::Null,
    ];
    for ((line, credential), task) in lines.iter().zip(credentials).zip(tasks) {
        assert_eq!(line["credential"], credential, "{line}");
        assert_eq!(line["task_id"], task, "{line}");
    }
}

#[tokio::test]
async fn accept_any_needs_no_credential_but_is_warned_of() {
    let service = Service::start(|command| command.env("KOOTASK__AUTH__MODE", "accept-any"));
    Call::create(service.address, TRANSFER)
        .send()
        .await
        .task_id();
    assert!(
        service.said.iter().any(|line| line["level"] == "WARN"),
        "{:?}",
        service.said
    );
}

/// `kootask serve` that cannot listen on this address, as it says.
fn cannot_listen(address: &str) -> String {
    let outcome = outcome(
        admit(kootask().arg("serve"), "t")
            .env("KOOTASK__STORE__URL", "memory:")
            .env("KOOTASK__SERVER__LISTEN", address),
    );
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let said = outcome.err;
    assert!(
        said.contains(&format!("cannot listen on {address}: ")),
        "{said}"
    );
    assert!(
        said.contains("KOOTASK__SERVER__LISTEN") && said.contains("--listen"),
        "{said}"
    );
    said
}

#[test]
fn an_address_in_use_ends_it_with_1_and_is_named_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let said = cannot_listen(&address.to_string());
    assert!(said.contains("another program has the port"), "{said}");
    assert!(
        said.contains(&format!("sport = :{}", address.port())),
        "{said}"
    );
}

/// 192.0.2.0/24 is for documentation, and no machine's.
#[test]
fn an_address_of_another_machine_ends_it_with_1_and_is_told_from_a_taken_one() {
    let said = cannot_listen("192.0.2.1:8080");
    assert!(said.contains("no address of this machine"), "{said}");
}

#[test]
fn a_wrong_configuration_ends_it_with_1_before_anything_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("tasks.db");
    let outcome = outcome(
        admit(kootask().arg("serve"), "t")
            .env(
                "KOOTASK__STORE__URL",
                format!("sqlite://{}", database.display()),
            )
            .env("KOOTASK__ID__NODE", "many"),
    );
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.err.contains("id.node"), "{}", outcome.err);
    assert!(!database.exists());
}

#[test]
fn accept_any_off_loopback_is_refused_unless_it_is_asked_for() {
    let command = |arguments: &[&str]| {
        let mut command = kootask();
        command
            .args(arguments)
            .env("KOOTASK__AUTH__MODE", "accept-any")
            .env("KOOTASK__STORE__URL", "memory:")
            .env("KOOTASK__SERVER__LISTEN", "0.0.0.0:0");
        command
    };
    let refused = outcome(&mut command(&["serve"]));
    assert_eq!(refused.code, Some(1));
    for hint in ["0.0.0.0:0", "verify", "--accept-any-from-network"] {
        assert!(refused.err.contains(hint), "{hint} in {}", refused.err);
    }
    // The check passes: the argument is not its own.
    let checked = outcome(&mut command(&["config", "check"]));
    assert_eq!(checked.code, Some(0));
    assert!(
        checked
            .err
            .contains("auth.mode is accept-any and server.listen is 0.0.0.0:0")
            && checked.err.contains("--accept-any-from-network"),
        "{}",
        checked.err
    );

    let service = Service::start(|serve| {
        serve
            .arg("--accept-any-from-network")
            .env("KOOTASK__AUTH__MODE", "accept-any")
            .env("KOOTASK__SERVER__LISTEN", "0.0.0.0:0")
    });
    let warned = |line: &Value| {
        let text = line["message"].as_str().unwrap_or_default();
        text.contains("whoever reaches that address may call")
    };
    assert!(service.said.iter().any(warned), "{:?}", service.said);
    assert_eq!(service.end("TERM").0, Some(0));
}

#[test]
fn a_token_that_has_expired_is_warned_of() {
    let expired = |command: &mut Command| {
        admit(command, "t").env(
            "KOOTASK__AUTH__TOKENS__0__EXPIRES_AT",
            "2020-01-01T00:00:00Z",
        );
    };
    let mut check = kootask();
    check.args(["config", "check"]);
    expired(&mut check);
    let sole = outcome(&mut check);
    assert_eq!(sole.code, Some(0));
    for warning in [
        "auth.tokens[0] expired at 2020-01-01T00:00:00Z",
        "nobody can call",
    ] {
        assert!(sole.err.contains(warning), "{warning} in {}", sole.err);
    }
    // Beside one that is good it is no matter of life and death.
    check
        .env("KOOTASK__AUTH__TOKENS__1__TOKEN_SHA256", "ab".repeat(32))
        .env("KOOTASK__AUTH__TOKENS__1__TENANT_ID", "my-company");
    let beside = outcome(&mut check);
    assert!(
        beside.err.contains("auth.tokens[0] expired") && !beside.err.contains("nobody can call"),
        "{}",
        beside.err
    );

    let service = Service::start(|command| {
        expired(command);
        command
    });
    assert!(
        service.said.iter().any(|line| line["level"] == "WARN"),
        "{:?}",
        service.said
    );
}

#[tokio::test]
async fn what_the_http_parser_refuses_has_a_log_line_with_its_peer() {
    let service = Service::start(|command| admit(command, "token"));
    let mut refused = Wire::connect(service.address).await;
    refused.send("GET / HTTP/9.9\r\n\r\n").await.unwrap();
    refused.closed().await;
    let mut large = Wire::connect(service.address).await;
    let head = "GET / HTTP/1.1\r\nX-Secret: ";
    let _ = large
        .send(format!("{head}{}", "secret".repeat(10_000)))
        .await;
    large.closed().await;
    let mut http2 = Wire::connect(service.address).await;
    let broken = [http2::preface(&[]), http2::data(1, b"secret", true)].concat();
    http2.send(broken).await.unwrap();
    http2.closed().await;
    // A client that leaves without a word is no news.
    drop(Wire::connect(service.address).await);
    let (_, log) = service.end("TERM");
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["peer"].is_string())
        .collect();
    assert_eq!(lines.len(), 3, "{log}");
    for line in &lines {
        assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
        assert_eq!(line["message"], "no HTTP request could be read");
    }
    // A line comes when its connection ends.
    for status in [400.into(), 431.into(), Value::Null] {
        let has_status = |line: &&Value| line["status"] == status;
        assert_eq!(
            lines.iter().filter(has_status).count(),
            1,
            "{status}: {log}"
        );
    }
    assert!(!log.contains("secret"), "{log}");
}
