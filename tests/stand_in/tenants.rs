//! Tests side by side: a tenant each.

use futures_util::future::join_all;
use kootask::task::TaskStatus;
use kootask::worker;
use serde_json::{Value, json};
use uuid::Uuid;

use super::stand_in;
use crate::support::TestApp;
use crate::support::client::TRANSFER;
use crate::support::credentials::worker as worker_entry;

const SETTINGS: &str = "clock = '2026-01-01T00:00:00Z'\nprogress = 'new 1 poll, executing 1 poll'";

/// The bodies that a test of this tenant sees.
async fn one_test(app: &TestApp, tenant: &str, number: usize) -> Vec<Value> {
    let own = |path: &str| format!("{path}?tenant={tenant}");
    let reset = app.control("POST", &own("reset"), "").await;
    assert_eq!(reset.status, 200, "{reset:?}");
    let token = format!("tenant.{tenant}");
    let src = format!("src-{number}");
    let body = TRANSFER.replace("1397687227244555008", &src);
    let key = format!("key-{number}");
    let create = app
        .create(&body)
        .bearer(&token)
        .header("Idempotency-Key", &key);
    let mut bodies = Vec::new();
    for _ in 0..2 {
        bodies.push(create.clone().send().await.body);
    }
    let id = bodies[0]["taskId"].as_str().unwrap().to_owned();
    for target in [
        format!("/koodrive/ose/v1/task/{id}"),
        "/koodrive/ose/v1/task/list".to_owned(),
        format!("/koodrive/ose/v1/task/{id}"),
        format!("/koodrive/ose/v1/task/dstUserInfo/{src}"),
    ] {
        bodies.push(app.read(&target).bearer(&token).send().await.body);
    }
    bodies.push(app.control("GET", &own("state"), "").await.body);
    bodies
}

async fn tests_of(app: &TestApp, tenant: &str, count: usize) -> Vec<Vec<Value>> {
    let mut bodies = Vec::new();
    for number in 0..count {
        bodies.push(one_test(app, tenant, number).await);
    }
    bodies
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_tenants_see_at_once_what_each_sees_alone() {
    const TESTS: usize = 50;
    let app = stand_in(SETTINGS).await;
    let names: Vec<_> = (0..16).map(|number| format!("tenant-{number}")).collect();
    let together = join_all(names.iter().map(|name| tests_of(&app, name, TESTS))).await;
    for (name, bodies) in names.iter().zip(together) {
        let alone = stand_in(SETTINGS).await;
        // Each test begins with a reset, so the last one tells of all.
        let last = one_test(&alone, name, TESTS - 1).await;
        assert_eq!(bodies.last(), Some(&last), "{name}");
        assert_eq!(bodies.len(), TESTS);
        let statuses: Vec<_> = last[2..5]
            .iter()
            .map(|body| body["status"].clone())
            .collect();
        assert_eq!(statuses, [json!(0), Value::Null, json!(2)]);
        alone.stop().await;
    }
}

#[tokio::test]
async fn a_credential_names_its_tenant() {
    let app = stand_in("progress = 'manual'").await;
    let signed = app
        .create(TRANSFER)
        .signed("kootask-dev-a", "kootask-dev-secret");
    let id = signed.send().await.task_id();
    let target = format!("/koodrive/ose/v1/task/{id}");
    let of_a = app.read(&target).bearer("tenant.a").send().await;
    assert_eq!(of_a.body["tenantId"], "a", "{of_a:?}");
    for other in ["tenant.b", "anything", "tenant."] {
        let answer = app.read(&target).bearer(other).send().await;
        assert_eq!(answer.status, 404, "{other}");
    }
    let wrong = app
        .create(TRANSFER)
        .signed("kootask-dev-a", "another-secret-of-it");
    assert_eq!(wrong.send().await.status, 401);
}

#[tokio::test]
async fn the_same_ids_can_be_seeded_in_several_tenants() {
    let app = stand_in("progress = 'manual'").await;
    let task = |src: &str| json!({"tasks": [{"id": "2091531903533318144", "srcUserId": src, "dstUserId": "150"}]});
    for tenant in ["a", "b"] {
        let path = format!("state?tenant={tenant}");
        let put = app.control("PUT", &path, &task(tenant).to_string()).await;
        assert_eq!(put.status, 200, "{put:?}");
    }
    let step = r#"{"to":"FAILED"}"#;
    app.control("POST", "tasks/2091531903533318144/step?tenant=a", step)
        .await;
    for (tenant, status) in [("a", 3), ("b", 0)] {
        let read = app.read("/koodrive/ose/v1/task/2091531903533318144");
        let read = read.bearer(&format!("tenant.{tenant}")).send().await;
        assert_eq!(read.body["status"], status, "{tenant}");
        assert_eq!(read.body["taskName"], tenant);
    }
}

#[tokio::test]
async fn workers_of_two_tenants_hold_the_same_seeded_id_each_for_itself() {
    const ID: i64 = 2_091_531_903_533_318_144;
    let entries = ["a", "b"].map(|name| worker_entry(name, name, &format!("['{name}']")));
    let app = stand_in(&format!(
        "progress = 'manual'
{}",
        entries.concat()
    ))
    .await;
    let task = |src: &str| json!({"id": ID.to_string(), "srcUserId": src, "dstUserId": "150"});
    for tenant in ["a", "b"] {
        let path = format!("state?tenant={tenant}");
        let seed = json!({"tasks": [task(tenant)]});
        let put = app.control("PUT", &path, &seed.to_string()).await;
        assert_eq!(put.status, 200, "{put:?}");
    }
    let call = async |tenant: &str, path: &str, body: Value| {
        let answer = app.worker(path, &body).bearer(tenant).send().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    };
    let claim = json!({"worker": "w1", "claimId": Uuid::new_v4().to_string(), "max": 9});
    for tenant in ["a", "b", "a", "b"] {
        let claimed = call(tenant, worker::CLAIM, claim.clone()).await;
        let tasks = claimed["tasks"].as_array().unwrap();
        assert_eq!(tasks.len(), 1, "{claimed}");
        assert_eq!(tasks[0]["tenantId"], tenant);
        assert_eq!(tasks[0]["parameters"]["srcUserId"], tenant);
    }
    let path = |template: &str| template.replace("{task_id}", &ID.to_string());
    call("a", &path(worker::COMPLETE), json!({"fence": 1})).await;
    let beat = json!({"tasks": [{"taskId": ID.to_string(), "fence": 1}]});
    for (tenant, state) in [("a", "lost"), ("b", "held")] {
        let told = call(tenant, worker::HEARTBEAT, beat.clone()).await;
        assert_eq!(told["tasks"][0]["state"], state, "{tenant}");
    }
    call("b", &path(worker::FAIL), json!({"fence": 1})).await;
    for (tenant, status) in [("a", TaskStatus::Success), ("b", TaskStatus::Failed)] {
        assert_eq!(app.kept(tenant, ID).await.status, status);
    }
}
