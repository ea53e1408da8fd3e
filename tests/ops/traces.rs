//! Spans: one a request, for a collector that the environment names.

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use kootask::{api, worker};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{TOKEN, Watched, serve};
use crate::cli::outcome;
use crate::cli::serve::{Service, admit};
use crate::support::client::{Call, TRANSFER, USER};
use crate::support::collector::{Collected, Collector};
use crate::support::http2;
use crate::support::jwt::{TestKey, claims, trust};
use crate::support::process::{ended_within, send_signal};
use crate::support::until;
use crate::support::wire::Wire;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// `kootask serve` that sends spans there, soon.
fn traced(endpoint: &str) -> Command {
    let mut command = serve();
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("OTEL_BSP_SCHEDULE_DELAY", "20");
    command
}

async fn create(service: &Watched) -> Call {
    Call::create(service.address().await, TRANSFER).bearer(TOKEN)
}

/// The header of a caller that is traced itself.
fn traceparent(call: Call, flags: &str) -> Call {
    call.header("traceparent", &format!("00-{TRACE}-{PARENT}-{flags}"))
}

fn attribute<'a>(span: &'a Collected, name: &str) -> Option<&'a str> {
    span.attributes.get(name).map(String::as_str)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_one_span_whose_trace_the_log_names() {
    let collector = Collector::start().await;
    let service = Watched::start(traced(&collector.endpoint()));
    let call = create(&service).await.header("X-Traceid", "of-koodrive");
    call.send().await.task_id();
    let line = service.line("request").await;
    let spans = collector.spans(1).await;
    let [span] = &spans[..] else {
        panic!("{spans:?}");
    };
    assert_eq!(span.name, format!("POST {}", api::CREATE));
    assert_eq!((span.kind, span.status), (2, 0));
    assert_eq!(span.parent_span_id, "");
    assert_eq!(line["trace_id"], "of-koodrive");
    assert_eq!(line["otel_trace_id"], *span.trace_id);
    for (name, expected) in [
        ("http.request.method", "POST"),
        ("http.route", api::CREATE),
        ("http.response.status_code", "200"),
        ("network.protocol.version", "1.1"),
        ("koodrive.trace_id", "of-koodrive"),
    ] {
        assert_eq!(attribute(span, name), Some(expected), "{name}");
    }
    assert_eq!(span.resource["service.name"], "kootask");
    assert_eq!(span.resource["service.version"], kootask::ops::VERSION);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_belongs_to_the_trace_of_its_caller_who_decides_whether_it_is_sampled() {
    let collector = Collector::start().await;
    let service = Watched::start(traced(&collector.endpoint()));
    let call = create(&service).await;
    traceparent(call.clone(), "00").send().await.task_id();
    traceparent(call.clone(), "01").send().await.task_id();
    // What is no traceparent tells nothing.
    call.header("traceparent", "00-0-0-01").send().await;
    let spans = collector.spans(2).await;
    assert_eq!(spans.len(), 2, "{spans:?}");
    assert_eq!(spans[0].trace_id, TRACE);
    assert_eq!(spans[0].parent_span_id, PARENT);
    assert_ne!(spans[1].trace_id, TRACE);
    assert_eq!(spans[1].parent_span_id, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_chooses_the_sampler_and_the_name() {
    let collector = Collector::start().await;
    let mut command = traced(&collector.endpoint());
    command
        .env("OTEL_TRACES_SAMPLER", "parentbased_always_off")
        .env("OTEL_SERVICE_NAME", "tasks-of-acme");
    let service = Watched::start(command);
    let call = create(&service).await;
    call.clone().send().await.task_id();
    traceparent(call, "01").send().await.task_id();
    let spans = collector.spans(1).await;
    assert_eq!(spans.len(), 1, "{spans:?}");
    assert_eq!(spans[0].trace_id, TRACE);
    assert_eq!(spans[0].resource["service.name"], "tasks-of-acme");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_tells_no_path_no_user_and_no_credential() {
    let collector = Collector::start().await;
    let service = Watched::start(traced(&collector.endpoint()));
    let id = create(&service).await.send().await.task_id().to_string();
    let address = service.address().await;
    let read = |method: &str, target: &str| {
        Call::new(address, method, target)
            .header("X-User-Id", USER)
            .at(jiff::Timestamp::now())
            .bearer(TOKEN)
    };
    let recipient = api::RECIPIENT.replace("{src_user_id}", "a-secret-user");
    let detail = api::DETAIL.replace("{task_id}", &id);
    for (method, target) in [
        ("GET", format!("{detail}?a-secret-query=1")),
        ("GET", recipient),
        ("GET", "/a-secret-path".to_owned()),
        ("ASECRET", api::LIST.to_owned()),
    ] {
        read(method, &target).send().await;
    }
    let spans = collector.spans(5).await;
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    let expected = [
        format!("POST {}", api::CREATE),
        format!("GET {}", api::DETAIL),
        format!("GET {}", api::RECIPIENT),
        "GET".to_owned(),
        format!("HTTP {}", api::LIST),
    ];
    assert_eq!(names, expected);
    assert_eq!(attribute(&spans[3], "http.route"), None);
    assert_eq!(attribute(&spans[4], "http.request.method"), Some("_OTHER"));
    let all = format!("{spans:?}").to_lowercase();
    for secret in ["secret", &id, USER, TOKEN, "my-company", "127.0.0.1"] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_span_of_an_answer_that_is_a_fault_of_ours_is_an_error() {
    let collector = Collector::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kootask.toml");
    // Nobody listens there, so there are no keys to judge a JWT with.
    std::fs::write(&file, trust("jwks_url = \"http://127.0.0.1:1/\"")).unwrap();
    let mut command = traced(&collector.endpoint());
    let service = Watched::start({
        command.arg("--config").arg(&file);
        command
    });
    let call = create(&service).await;
    let token = TestKey::new("one").token(&claims());
    assert_eq!(call.clone().bearer(&token).send().await.status, 503);
    assert_eq!(call.bearer("unknown").send().await.status, 401);
    let spans = collector.spans(2).await;
    assert_eq!((spans[0].status, spans[1].status), (2, 0));
    assert_eq!(attribute(&spans[0], "error.type"), Some("unavailable"));
    assert_eq!(attribute(&spans[1], "error.type"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_there_is_no_trace_and_other_variables_do_no_harm() {
    let mut command = serve();
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "")
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        .env("OTEL_TRACES_SAMPLER", "always_on")
        .env("OTEL_SERVICE_NAME", "kootask");
    let service = Watched::start(command);
    traceparent(create(&service).await, "01")
        .send()
        .await
        .task_id();
    let line = service.line("request").await;
    assert!(line["trace_id"].is_string(), "{line}");
    assert!(line.get("otel_trace_id").is_none(), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn opentelemetry_that_is_turned_off_exports_nothing() {
    let collector = Collector::start().await;
    for (name, value) in [
        ("OTEL_SDK_DISABLED", "True"),
        ("OTEL_TRACES_EXPORTER", "none"),
    ] {
        let mut command = traced(&collector.endpoint());
        command
            .env(name, value)
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        let mut off = Watched::start(command);
        create(&off).await.send().await.task_id();
        assert!(off.line("request").await.get("otel_trace_id").is_none());
        send_signal(&off.child, "TERM");
        ended_within(&mut off.child, Duration::from_secs(10)).await;
        assert!(collector.spans(0).await.is_empty());
    }

    // What is not "true" is false, and is told if it is not that either.
    for (spans, value, is_told) in [(1, "false", false), (2, "1", true)] {
        let endpoint = collector.endpoint();
        let mut service = Service::start(|command| {
            admit(command, TOKEN)
                .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
                .env("OTEL_BSP_SCHEDULE_DELAY", "20")
                .env("OTEL_SDK_DISABLED", value)
        });
        let told = "OTEL_SDK_DISABLED is neither true nor false, and counts as false";
        let mut said = service.said.iter();
        assert_eq!(said.any(|line| line["message"] == told), is_told, "{value}");
        let call = Call::create(service.address, TRANSFER).bearer(TOKEN);
        call.send().await.task_id();
        let line = service.line(|line| line["message"] == "request");
        assert!(line.get("otel_trace_id").is_some(), "{value}: {line}");
        collector.spans(spans).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_its_answer_ends_its_span() {
    let collector = Collector::start().await;
    let mut command = traced(&collector.endpoint());
    let digest = hex::encode(Sha256::digest("of-a-worker"));
    command
        .env("KOOTASK__AUTH__WORKERS__0__NAME", "worker")
        .env("KOOTASK__AUTH__WORKERS__0__TOKEN_SHA256", digest)
        .env("KOOTASK__AUTH__WORKERS__0__TENANTS", "*");
    let service = Watched::start(command);
    let claim = json!({"worker": "w1", "claimId": TRACE, "waitSeconds": 30}).to_string();
    let head = [
        ("authorization", "Bearer of-a-worker"),
        ("content-type", "application/json"),
    ];
    let request = [
        http2::preface(&[]),
        http2::post_head(1, worker::CLAIM, &head),
        http2::data(1, claim.as_bytes(), true),
    ];
    let mut wire = Wire::connect(service.address().await).await;
    wire.send(request.concat()).await.unwrap();
    until("the claim waits", async || {
        let metrics = service.get("/metrics").await.text;
        let waits =
            |line: &str| line.starts_with("kootask_claims_waiting") && line.ends_with(" 1.0");
        metrics.lines().any(waits)
    })
    .await;
    drop(wire);
    let line = service.line("the client left before its answer").await;
    let spans = collector.spans(1).await;
    let [span] = &spans[..] else {
        panic!("{spans:?}");
    };
    assert_eq!(span.name, format!("POST {}", worker::CLAIM));
    assert_eq!(line["otel_trace_id"], *span.trace_id);
    assert_eq!(attribute(span, "http.response.status_code"), None);
    assert_eq!(span.status, 0);
}

#[test]
fn variables_that_make_no_sense_are_told_at_the_start() {
    for (name, value, why) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "neither otlp nor none"),
        (
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
            "http/json",
            "http/protobuf",
        ),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "no url",
            "OTEL_EXPORTER_OTLP",
        ),
    ] {
        let outcome = outcome(traced("http://127.0.0.1:4318").env(name, value));
        assert_eq!(outcome.code, Some(1), "{name}");
        assert!(outcome.err.contains(why), "{}", outcome.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_never_answers_holds_up_neither_answers_nor_the_end() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = traced(&format!("http://{}", silent.local_addr().unwrap()));
    // So that spans find no room.
    command
        .env("OTEL_BSP_MAX_QUEUE_SIZE", "4")
        .env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2");
    let mut service = Watched::start(command);
    let call = create(&service).await;
    let started = Instant::now();
    for _ in 0..50 {
        call.clone().send().await.task_id();
    }
    // A try to send takes 10 s before it is given up.
    assert!(started.elapsed() < Duration::from_secs(8));
    send_signal(&service.child, "TERM");
    let ended = ended_within(&mut service.child, Duration::from_secs(5)).await;
    assert_eq!(ended.code(), Some(0));
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_is_told_once_and_what_is_left_is_sent_at_the_end() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let service = Watched::start(traced(&format!("http://{}", address.unwrap())));
    for _ in 0..3 {
        create(&service).await.send().await.task_id();
        service.line("spans cannot be exported, and are lost").await;
    }
    let told = |line: &&serde_json::Value| {
        let message = line["message"].as_str().unwrap_or_default();
        message.starts_with("spans cannot")
    };
    assert_eq!(service.lines.lock().unwrap().iter().filter(told).count(), 1);

    let collector = Collector::start().await;
    let mut command = traced(&collector.endpoint());
    command.env("OTEL_BSP_SCHEDULE_DELAY", "3600000");
    let mut service = Watched::start(command);
    create(&service).await.send().await.task_id();
    send_signal(&service.child, "TERM");
    ended_within(&mut service.child, Duration::from_secs(10)).await;
    assert_eq!(collector.spans(1).await.len(), 1);
}
