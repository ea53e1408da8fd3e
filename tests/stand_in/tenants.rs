//! Tests side by side: a tenant each.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::stand_in;
use crate::support::TestApp;
use crate::support::client::TRANSFER;

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
