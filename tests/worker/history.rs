//! `GET /kootask/v1/tasks/{task_id}/attempts`.

use kootask::config::Defaults;
use kootask::task::life_cycle::Step;
use kootask::{tenant, worker};
use serde_json::{Value, json};

use super::{claim_of, path, report};
use crate::support::TestApp;
use crate::support::client::{TRANSFER, USER};
use crate::support::credentials::{app as app_entry, worker as worker_entry};

every_store! {
    every_attempt_and_every_action_is_told_with_who_it_was,
    an_attempt_without_a_worker_is_told_too,
}

/// A list of the answer without its times, which are there.
#[track_caller]
fn without_times(list: &Value) -> Vec<Value> {
    let mut items = list.as_array().unwrap().clone();
    for item in &mut items {
        let fields = item.as_object_mut().unwrap();
        for name in ["startTime", "endTime", "time"] {
            if let Some(time) = fields.remove(name) {
                assert!(time.as_str().unwrap().ends_with('Z'), "{time}");
            }
        }
    }
    items
}

async fn every_attempt_and_every_action_is_told_with_who_it_was(store: &str) {
    let secret = "secret-of-the-console";
    let toml = app_entry("console", secret, "acme") + &worker_entry("dev", "a-worker", "[\"*\"]");
    let app = TestApp::start_on(store, &toml, Defaults::Serve).await;
    let id = app
        .create(TRANSFER)
        .signed("console", secret)
        .send()
        .await
        .task_id();
    let act = async |template| {
        let call = app.post(&path(template, id)).signed("console", secret);
        assert_eq!(call.send().await.status, 200, "{template}");
    };
    let told = async || {
        let call = app
            .read(&path(tenant::ATTEMPTS, id))
            .signed("console", secret);
        call.send().await.body
    };
    assert_eq!(told().await["attempts"], json!([]));

    app.apply(id, claim_of("dev")).await;
    let fail = json!({"fence": 1, "resultCode": "18000205"});
    assert_eq!(report(&app, worker::FAIL, id, &fail).await.status, 200);
    act(tenant::RETRY).await;
    app.apply(id, claim_of("dev")).await;
    act(tenant::CANCEL).await;
    assert_eq!(
        report(&app, worker::RELEASE, id, &json!({"fence": 2}))
            .await
            .status,
        200
    );
    act(tenant::RETRY).await;
    app.apply(id, claim_of("dev")).await;

    let failed = json!({"attempt": 1, "worker": "w1", "credential": "dev", "state": "failed",
        "resultCode": "18000205"});
    let released = json!({"attempt": 2, "worker": "w1", "credential": "dev", "state": "released"});
    let running = json!({"attempt": 3, "worker": "w1", "credential": "dev", "state": "running"});
    let answer = told().await;
    assert_eq!(
        without_times(&answer["attempts"]),
        [failed.clone(), released.clone(), running]
    );
    let action = |name: &str| json!({"action": name, "credential": "console", "userId": USER});
    let actions = ["create", "retry", "cancel", "retry"].map(action);
    assert_eq!(without_times(&answer["actions"]), actions);
    assert_eq!(answer["attempts"][2].get("endTime"), None);

    assert_eq!(
        report(&app, worker::COMPLETE, id, &json!({"fence": 3}))
            .await
            .status,
        200
    );
    let answer = told().await;
    let succeeded = json!({"attempt": 3, "worker": "w1", "credential": "dev",
        "state": "succeeded"});
    assert_eq!(
        without_times(&answer["attempts"]),
        [failed, released, succeeded]
    );
    assert!(answer["attempts"][2]["endTime"].is_string());
    app.stop().await;
}

async fn an_attempt_without_a_worker_is_told_too(store: &str) {
    let app = TestApp::start_on(store, "", Defaults::Dev).await;
    let id = app.create(TRANSFER).send().await.task_id();
    app.step(id, Step::Start).await;
    app.step(id, Step::Fail("18000205".parse().unwrap())).await;
    let answer = app.read(&path(tenant::ATTEMPTS, id)).send().await;
    assert_eq!(
        without_times(&answer.body["attempts"]),
        [json!({"attempt": 1, "state": "failed", "resultCode": "18000205"})]
    );
    // Nobody's credential was asked for.
    assert_eq!(
        without_times(&answer.body["actions"]),
        [json!({"action": "create", "userId": USER})]
    );
    app.stop().await;
}
