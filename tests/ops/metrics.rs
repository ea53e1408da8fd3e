//! `/metrics`.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use kootask::worker::{CLAIM, COMPLETE};
use serde_json::json;
use uuid::Uuid;

use super::{Watched, serve};
use crate::support::client::{Call, IMPORT, TRANSFER};
use crate::support::command::command;
use crate::support::credentials::worker;
use crate::support::tls::Authority;
use crate::support::until;

/// Each metric's name and type, and the names of its labels.
fn shape(text: &str) -> String {
    let mut shape = BTreeSet::new();
    let mut kind = "";
    for line in text.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            kind = declared.rsplit(' ').next().unwrap();
        } else if !line.starts_with('#') {
            let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap());
            let labels = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            let labels = labels.map_or("", |(labels, _)| labels).split("\",");
            let names: Vec<_> = labels
                .filter_map(|label| Some(label.split_once('=')?.0))
                .collect();
            shape.insert(format!("{name} {kind} {}", names.join(",")));
        }
    }
    Vec::from_iter(shape).join("\n")
}

/// The value of the series that this begins, labels and all.
fn value(text: &str, series: &str) -> f64 {
    let mut values = text
        .lines()
        .filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    let value = values
        .next()
        .unwrap_or_else(|| panic!("no {series} in\n{text}"));
    value.parse().unwrap()
}

/// A service over SQLite that has done a little of everything.
async fn busy() -> (Watched, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kootask.db");
    let mut command = serve();
    command
        .env(
            "KOOTASK__STORE__URL",
            format!("sqlite://{}", path.display()),
        )
        .env(
            "KOOTASK__AUTH__TOKENS__0__EXPIRES_AT",
            "2100-01-01T00:00:00Z",
        );
    let service = Watched::start(command);
    let address = service.address().await;
    let create = |body| Call::create(address, body).bearer(super::TOKEN);
    for (body, status) in [(TRANSFER, 200), (TRANSFER, 200), (IMPORT, 422)] {
        let call = create(body).header("Idempotency-Key", "the-same");
        assert_eq!(call.send().await.status, status);
    }
    assert_eq!(create(IMPORT).send().await.status, 200);
    assert_eq!(create("{").send().await.status, 400);
    let stranger = Call::create(address, TRANSFER).bearer("another");
    assert_eq!(stranger.send().await.status, 401);
    (service, folder)
}

/// A service with a certificate.
async fn secure() -> (Watched, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let pair = Authority::new("the authority").issue();
    let config = folder.path().join("kootask.toml");
    std::fs::write(&config, pair.configured_in(folder.path())).unwrap();
    let mut command = serve();
    command.arg("--config").arg(config);
    let service = Watched::start(command);
    service.address().await;
    (service, folder)
}

/// A service with a worker, whose configuration is in this folder.
fn serve_workers(folder: &tempfile::TempDir) -> Command {
    let config = folder.path().join("kootask.toml");
    std::fs::write(&config, worker("w", "a-worker", "[\"*\"]")).unwrap();
    let mut command = serve();
    command.arg("--config").arg(config);
    command
}

/// What the worker says to the service.
fn report(address: SocketAddr, path: &str, body: &serde_json::Value) -> Call {
    let call = Call::new(address, "POST", path).bearer("a-worker");
    let call = call.header("Content-Type", "application/json");
    call.body(body.to_string())
}

/// The worker's request for a task, which waits for this long at most.
fn claim(address: SocketAddr, seconds: u32) -> Call {
    let claim_id = Uuid::new_v4().to_string();
    let body = json!({"worker": "w1", "claimId": claim_id, "waitSeconds": seconds});
    report(address, CLAIM, &body)
}

#[tokio::test]
async fn the_set_of_metrics_is_this() {
    let (service, _folder) = busy().await;
    let answer = service.get("/metrics").await;
    assert_eq!(
        answer.media_type,
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let (secure, _folder) = secure().await;
    let secure = secure.get("/metrics").await;
    insta::assert_snapshot!(shape(&(answer.text + &secure.text)));
}

#[tokio::test]
async fn what_was_done_is_counted() {
    let (service, _folder) = busy().await;
    let text = service.get("/metrics").await.text;
    let create = kootask::api::CREATE;
    for (series, expected) in [
        (
            "kootask_creates_total{task_type=\"transfer_and_deletion\",outcome=\"new\"}",
            1.0,
        ),
        (
            "kootask_creates_total{task_type=\"transfer_and_deletion\",outcome=\"existing\"}",
            1.0,
        ),
        (
            "kootask_creates_total{task_type=\"batch_import\",outcome=\"mismatch\"}",
            1.0,
        ),
        (
            "kootask_creates_total{task_type=\"batch_import\",outcome=\"new\"}",
            1.0,
        ),
        (
            "kootask_requests_refused_total{reason=\"unauthenticated\"}",
            1.0,
        ),
        ("kootask_requests_refused_total{reason=\"notJson\"}", 1.0),
        ("kootask_store_batch_size_sum", 4.0),
        ("kootask_store_commit_failures_total", 0.0),
        ("kootask_ready", 1.0),
        ("kootask_panics_total", 0.0),
        (
            "kootask_credential_expiry_timestamp_seconds",
            4_102_444_800.0,
        ),
    ] {
        assert_eq!(value(&text, series), expected, "{series}");
    }
    let answered = |status| {
        format!(
            "http_server_request_duration_seconds_count{{http_request_method=\"POST\",\
             http_route=\"{create}\",http_response_status_code=\"{status}\"}}"
        )
    };
    assert_eq!(value(&text, &answered(200)), 3.0);
    assert_eq!(value(&text, &answered(401)), 1.0);
}

#[tokio::test]
async fn a_tasks_way_from_its_creation_to_its_end_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let service = Watched::start(serve_workers(&folder));
    let address = service.address().await;
    let moved = async |to: &str| {
        let series =
            format!("kootask_task_transitions_total{{task_type=\"batch_import\",to=\"{to}\"}}");
        value(&service.get("/metrics").await.text, &series)
    };
    let all = async || (moved("executing").await, moved("success").await);
    let created = Call::create(address, IMPORT).bearer(super::TOKEN);
    let id = created.send().await.task_id();
    assert_eq!(all().await, (0.0, 0.0));
    let claimed = claim(address, 0).send().await.body;
    let fence = &claimed["tasks"][0]["fence"];
    assert_eq!(all().await, (1.0, 0.0));
    let complete = COMPLETE.replace("{task_id}", &id.to_string());
    let ended = report(address, &complete, &json!({"fence": fence}));
    assert_eq!(ended.send().await.status, 200);
    assert_eq!(all().await, (1.0, 1.0));
    for to in ["new", "waiting", "failed"] {
        assert_eq!(moved(to).await, 0.0, "{to}");
    }
}

#[tokio::test]
async fn work_that_waits_and_is_held_is_shown_by_its_type() {
    let folder = tempfile::tempdir().unwrap();
    for store in [
        "memory:".to_owned(),
        format!("sqlite://{}", folder.path().join("kootask.db").display()),
    ] {
        let mut command = serve_workers(&folder);
        command.env("KOOTASK__STORE__URL", store);
        let service = Watched::start(command);
        let address = service.address().await;
        let shown = async |name: &str| {
            let text = service.get("/metrics").await.text;
            let of = |task_type| value(&text, &format!("{name}{{task_type=\"{task_type}\"}}"));
            [of("transfer_and_deletion"), of("batch_import")]
        };
        let age = async || shown("kootask_tasks_ready_oldest_age_seconds").await;
        assert_eq!(age().await, [0.0, 0.0]);
        let created = Call::create(address, IMPORT).bearer(super::TOKEN);
        let id = created.send().await.task_id();
        until("a task that waits", async || age().await[1] > 0.0).await;
        let before = age().await[1];
        until("an age that grows", async || age().await[1] > before).await;

        let claimed = claim(address, 0).send().await.body;
        until("a lease", async || {
            shown("kootask_leases").await == [0.0, 1.0]
        })
        .await;
        assert_eq!(age().await, [0.0, 0.0]);

        let waits = tokio::spawn(async move { claim(address, 30).send().await });
        until("a claim that waits", async || {
            shown("kootask_claims_waiting").await == [1.0, 1.0]
        })
        .await;
        let complete = COMPLETE.replace("{task_id}", &id.to_string());
        let fence = &claimed["tasks"][0]["fence"];
        let ended = report(address, &complete, &json!({"fence": fence}));
        let ended = ended.send().await;
        assert_eq!(ended.status, 200, "{ended:?}");
        until("no lease", async || {
            shown("kootask_leases").await == [0.0, 0.0]
        })
        .await;
        waits.abort();
    }
}

#[tokio::test]
async fn random_paths_and_methods_add_no_series() {
    let service = Watched::start(serve());
    let address = service.address().await;
    let ask = async |number: u32| {
        for (method, path) in [
            ("GET", format!("/{number}.php?x={number}")),
            (&*format!("X{number}"), "/wp-login".to_owned()),
            ("GET", format!("/koodrive/ose/v1/task/{number}")),
            ("GET", format!("/koodrive/ose/v1/task/dstUserInfo/{number}")),
        ] {
            let call = Call::new(address, method, &path).header("X-User-Id", &number.to_string());
            call.send().await;
        }
    };
    ask(0).await;
    let series = async || service.get("/metrics").await.text.lines().count();
    let before = series().await;
    for number in 1..20 {
        ask(number).await;
    }
    assert_eq!(series().await, before);
}

#[tokio::test]
async fn promtool_finds_nothing_wrong() {
    let mut check = command("promtool");
    check.args(["check", "metrics"]).stdin(Stdio::piped());
    let Ok(mut check) = check.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() else {
        eprintln!("not shown here: there is no promtool");
        return;
    };
    let (service, _folder) = busy().await;
    let text = service.get("/metrics").await.text;
    let mut metrics = check.stdin.take().unwrap();
    metrics.write_all(text.as_bytes()).unwrap();
    drop(metrics);
    let output = check.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.is_empty(), "{said}\n{text}");
}
