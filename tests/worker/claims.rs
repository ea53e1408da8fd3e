//! `POST /kootask/v1/worker/claim`.

use std::time::{Duration, Instant};

use kootask::config::Defaults;
use kootask::task::claim::MAX_LEASES;
use kootask::task::{Identifier, NewTask, TaskParameters};
use kootask::worker;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{complete, status};
use crate::support::TestApp;
use crate::support::client::{Answer, IMPORT, TRANSFER, USER};
use crate::support::credentials::{token, worker as worker_entry};
use crate::support::proxy::Proxy;
use crate::support::until;
use crate::support::wire::Wire;

every_store! {
    a_claim_tells_all_that_there_is_to_do,
    a_worker_claims_only_what_its_credential_is_for,
    a_claim_may_wait_longer_than_a_request_may_take,
    nothing_is_promised_beyond_the_time_that_an_attempt_may_take,
    a_lost_answer_comes_again_with_the_same_claim_id,
    a_half_open_client_takes_nothing_and_holds_no_waiters_place,
}

/// A claim's body with an id of its own.
fn body(more: Value) -> Value {
    let mut body = json!({"worker": "w1", "claimId": Uuid::new_v4().to_string()});
    let fields = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(fields);
    body
}

async fn claim(app: &TestApp, more: Value) -> Answer {
    app.worker(worker::CLAIM, &body(more)).send().await
}

/// The ids of the tasks that were given.
#[track_caller]
fn ids(answer: &Answer) -> Vec<i64> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let tasks = answer.body["tasks"].as_array().unwrap().iter();
    let id = |task: &Value| task["taskId"].as_str().unwrap().parse().unwrap();
    tasks.map(id).collect()
}

/// A claim as bytes, on a connection of its own.
async fn claim_on_a_wire(app: &TestApp, body: &Value) -> Wire {
    let mut wire = Wire::connect(app.address).await;
    let (body, path) = (body.to_string(), worker::CLAIM);
    let head = format!("POST {path} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n");
    let length = body.len();
    wire.send(format!("{head}Content-Length: {length}\r\n\r\n{body}"))
        .await
        .unwrap();
    wire
}

async fn a_claim_tells_all_that_there_is_to_do(store: &str) {
    let app = TestApp::start_on(store, "", Defaults::Dev).await;
    let transfer = app.create(TRANSFER).send().await.task_id();
    let import = app
        .create(IMPORT)
        .header("language", "zh-CN")
        .send()
        .await
        .task_id();
    let answer = claim(&app, json!({"max": 10, "leaseSeconds": 30})).await;
    let mut both = [
        json!({
            "taskId": transfer.to_string(), "tenantId": "dev", "userId": USER, "taskType": 0,
            "parameters": serde_json::from_str::<Value>(TRANSFER).unwrap(),
            "locale": "en-US", "attempt": 1, "fence": 1, "leaseSeconds": 30,
        }),
        json!({
            "taskId": import.to_string(), "tenantId": "dev", "userId": USER, "taskType": 1,
            "parameters": serde_json::from_str::<Value>(IMPORT).unwrap(),
            "locale": "zh-CN", "attempt": 1, "fence": 1, "leaseSeconds": 30,
        }),
    ];
    for task in &mut both {
        task["parameters"]
            .as_object_mut()
            .unwrap()
            .remove("taskType");
    }
    assert_eq!(
        answer.body,
        json!({"tasks": both, "code": 0, "msg": "Success."})
    );
    assert_eq!(status(&app, transfer).await, (1, None));
    assert!(ids(&claim(&app, json!({})).await).is_empty());
    assert_eq!(complete(&app, transfer, 1).await.status, 200);
    app.stop().await;
}

async fn a_worker_claims_only_what_its_credential_is_for(store: &str) {
    let toml = token("acme", "acme")
        + &token("umbrella", "umbrella")
        + &worker_entry("imports", "a-worker", "[\"acme\"]")
        + "task_types = [1]\n";
    let app = TestApp::start_on(store, &toml, Defaults::Serve).await;
    app.create(TRANSFER).bearer("acme").send().await.task_id();
    app.create(IMPORT).bearer("umbrella").send().await.task_id();
    let own = app.create(IMPORT).bearer("acme").send().await.task_id();
    let foreign = claim(&app, json!({"taskTypes": [0]})).await;
    assert_eq!(foreign.status, 400);
    let reason = "must name a type that the credential is for";
    assert_eq!(
        foreign.body["details"],
        json!([{"field": "taskTypes", "reason": reason}])
    );
    assert_eq!(
        ids(&claim(&app, json!({"taskTypes": [0, 1], "max": 9})).await),
        [own]
    );
    app.stop().await;
}

async fn a_claim_may_wait_longer_than_a_request_may_take(store: &str) {
    let toml = "[server]\nrequest_timeout = \"1s\"\n";
    let app = TestApp::start_on(store, toml, Defaults::Dev).await;
    let begun = Instant::now();
    assert!(ids(&claim(&app, json!({"waitSeconds": 3})).await).is_empty());
    assert!(
        begun.elapsed() >= Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );

    let body = body(json!({"waitSeconds": 30}));
    let waiting = app.worker(worker::CLAIM, &body);
    let begun = Instant::now();
    let (answer, id) = tokio::join!(waiting.send(), async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        app.create(TRANSFER).send().await.task_id()
    });
    assert_eq!(ids(&answer), [id]);
    assert!(begun.elapsed() < Duration::from_secs(20));
    app.stop().await;
}

async fn nothing_is_promised_beyond_the_time_that_an_attempt_may_take(store: &str) {
    let app = TestApp::start_on(store, "[tasks]\nattempt_timeout = \"1m\"\n", Defaults::Dev).await;
    app.create(TRANSFER).send().await.task_id();
    let answer = claim(&app, json!({"leaseSeconds": 3600})).await;
    assert_eq!(answer.body["tasks"][0]["leaseSeconds"], 55);
    app.stop().await;
}

async fn a_lost_answer_comes_again_with_the_same_claim_id(store: &str) {
    let app = TestApp::start_on(store, "", Defaults::Dev).await;
    let created = [
        app.create(TRANSFER).send().await.task_id(),
        app.create(TRANSFER).send().await.task_id(),
    ];
    let proxy = Proxy::to(app.address.port()).await;
    let body = body(json!({"max": 2, "waitSeconds": 10}));
    let call = app.worker(worker::CLAIM, &body);
    let through_proxy = call.clone().to(([127, 0, 0, 1], proxy.port).into());
    let lost = tokio::spawn(through_proxy.try_send());
    until("the proxy is reached", async || proxy.accepted() == 1).await;
    proxy.hold_answers_back();
    until("the tasks are begun", async || {
        status(&app, created[1]).await.0 == 1
    })
    .await;
    proxy.cut();
    // It may have come before it was held back; either way it comes again.
    let _ = lost.await.unwrap();
    for _ in 0..2 {
        let again = call.clone().send().await;
        assert_eq!(ids(&again), created);
        assert_eq!(again.body["tasks"][0]["fence"], 1);
    }
    assert!(ids(&claim(&app, json!({})).await).is_empty());
    app.stop().await;
}

async fn a_half_open_client_takes_nothing_and_holds_no_waiters_place(store: &str) {
    let app = TestApp::start_on(store, "", Defaults::Dev).await;
    let mut half_open = claim_on_a_wire(&app, &body(json!({"waitSeconds": 30}))).await;
    half_open.end_sending().await;
    let begun = Instant::now();
    half_open.closed().await;
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    let waiting = body(json!({"waitSeconds": 30}));
    let waiting = tokio::spawn(app.worker(worker::CLAIM, &waiting).send());
    let id = app.create(TRANSFER).send().await.task_id();
    assert_eq!(ids(&waiting.await.unwrap()), [id]);
    app.stop().await;
}

#[tokio::test]
async fn a_credential_with_too_many_leases_is_told_to_wait() {
    let app = TestApp::dev().await;
    let creates = (0..=MAX_LEASES).map(|number| {
        let identifier = |text: &str| text.parse::<Identifier>().unwrap();
        let task = NewTask {
            tenant_id: identifier("dev").into(),
            user_id: identifier("user"),
            created_by: None,
            locale: "en-US",
            parameters: TaskParameters::Transfer {
                src_user_id: identifier(&format!("leaving-{number}")),
                dst_user_id: identifier("recipient"),
            },
        };
        app.tasks().create(task, None)
    });
    for create in creates {
        create.await.unwrap();
    }
    for _ in 0..MAX_LEASES / 100 {
        assert_eq!(ids(&claim(&app, json!({"max": 100})).await).len(), 100);
    }
    let refused = claim(&app, json!({})).await;
    let code = &refused.body["code"];
    assert_eq!((refused.status.as_u16(), code), (429, &json!(13_000_101)));
    assert_eq!(refused.header("Retry-After"), "1");
    app.stop().await;
}
