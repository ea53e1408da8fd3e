//! Tests side by side: a tenant each.

use bytes::Bytes;
use futures_util::future::join_all;
use kootask::task::TaskStatus;
use kootask::worker;
use serde_json::{Value, json};
use uuid::Uuid;

use super::stand_in;
use crate::support::TestApp;
use crate::support::client::{Call, IMPORT, TRANSFER};
use crate::support::credentials::worker as worker_entry;

const SETTINGS: &str = "clock = '2026-01-01T00:00:00Z'\nprogress = 'new 1 poll, executing 1h'";

/// A console of one tenant, and the bodies that it has seen.
struct Console<'a> {
    app: &'a TestApp,
    client: reqwest::Client,
    tenant: String,
    seen: Vec<Bytes>,
}

impl<'a> Console<'a> {
    fn new(app: &'a TestApp, tenant: &str) -> Self {
        Self {
            app,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            tenant: tenant.to_owned(),
            seen: Vec::new(),
        }
    }

    async fn send(&mut self, call: Call) -> Value {
        let answer = call.send_by(&self.client).await.unwrap();
        let body = answer.bytes().await.unwrap();
        self.seen.push(body.clone());
        serde_json::from_slice(&body).unwrap()
    }

    async fn create(&mut self, body: &str, key: &str) -> Value {
        let create = self.app.create(body).header("Idempotency-Key", key);
        let create = create.bearer(&format!("tenant.{}", self.tenant));
        self.send(create).await
    }

    async fn read(&mut self, target: &str) -> Value {
        let target = format!("/koodrive/ose/v1/task/{target}");
        let token = format!("tenant.{}", self.tenant);
        let read = self.app.read(&target).bearer(&token);
        self.send(read).await
    }

    async fn control(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let target = format!("/kootask/dev/{path}?tenant={}", self.tenant);
        let call = self.app.call(method, &target);
        let call = match body {
            Value::Null => call,
            body => call
                .header("Content-Type", "application/json")
                .body(body.to_string()),
        };
        self.send(call).await
    }

    /// What is there before the test begins.
    async fn prepare(&mut self, number: usize) {
        self.control("POST", "reset", &Value::Null).await;
        let task = json!({"srcUserId": format!("seed-{number}"), "dstUserId": "heir",
            "status": "FAILED", "resultCode": "18000205", "age": format!("{number}h")});
        match number % 5 {
            0 => {
                let state = json!({"clock": "2026-03-01T00:00:00Z", "tasks": [task]});
                self.control("PUT", "state", &state).await;
            }
            1 => {
                self.control("POST", "tasks", &json!({"tasks": [task]}))
                    .await;
            }
            2 => {
                let rule = json!({"match": {"srcUserId": "src-*"},
                    "then": {"resultCode": "18000999", "progress": "immediate"}});
                self.control("POST", "rules", &rule).await;
            }
            3 => {
                let rule = json!({"match": {"call": "list"}, "times": 1, "then": {"status": 503}});
                self.control("POST", "rules", &rule).await;
            }
            _ => {}
        }
    }

    /// One test, which varies with its number.
    async fn test(&mut self, number: usize) {
        self.prepare(number).await;
        let (transfer, import) = (format!("t{number}"), format!("i{number}"));
        let src = format!("src-{number}");
        let body = TRANSFER.replace("1397687227244555008", &src);
        for _ in 0..2 {
            self.create(&body, &transfer).await;
        }
        let rows = format!("import-{number}--rows-4-{}", number % 3);
        let imported = IMPORT.replace("1575416580416769793", &rows);
        let created = self.create(&imported, &import).await;
        let id = created["taskId"].as_str().unwrap().to_owned();
        self.create("{}", "refused").await;
        self.read(&id).await;
        self.read("list").await;
        if number.is_multiple_of(2) {
            let by = json!({"by": "2h"});
            self.control("POST", "clock/advance", &by).await;
        } else {
            let step = json!({"to": "FAILED"});
            self.control("POST", &format!("tasks/{id}/step"), &step)
                .await;
        }
        self.read(&id).await;
        self.read(&format!("result?taskId={id}")).await;
        self.read(&format!("dstUserInfo/{src}")).await;
        self.control("GET", "state", &Value::Null).await;
        let wanted = json!({"match": {"call": "create", "outcome": "created"}, "count": 2});
        self.control("POST", "journal/verify", &wanted).await;
    }
}

/// The bodies of each of a tenant's tests, one after the other.
async fn tests_of(app: &TestApp, tenant: &str, count: usize) -> Vec<Vec<Bytes>> {
    let mut console = Console::new(app, tenant);
    let mut bodies = Vec::new();
    for number in 0..count {
        console.test(number).await;
        bodies.push(std::mem::take(&mut console.seen));
    }
    bodies
}

/// How often a text is in these bodies.
fn count(bodies: &[Vec<Bytes>], text: &str) -> usize {
    let bodies = bodies.iter().flatten();
    let texts = bodies.map(|body| std::str::from_utf8(body).unwrap());
    texts.filter(|body| body.contains(text)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_tenants_see_at_once_byte_for_byte_what_each_sees_alone() {
    const TESTS: usize = 50;
    let app = stand_in(SETTINGS).await;
    let names: Vec<_> = (0..16).map(|number| format!("tenant-{number}")).collect();
    let together = join_all(names.iter().map(|name| tests_of(&app, name, TESTS))).await;
    for (name, together) in names.iter().zip(together) {
        let alone = stand_in(SETTINGS).await;
        let bodies = tests_of(&alone, name, TESTS).await;
        alone.stop().await;
        for (number, (one, other)) in together.iter().zip(&bodies).enumerate() {
            assert_eq!(one, other, "test {number} of {name}");
        }
        assert_eq!(together.len(), TESTS);
        // They are tests of something.
        for (text, times) in [
            (r#""status":2"#, 20),
            (r#""status":3"#, 20),
            (r#""resultCode":"18000999""#, 10),
            (r#""code":13000201"#, 10),
            (r#""code":13000102"#, 50),
            (r#""ok":true"#, 50),
            ("seed-", 20),
        ] {
            let found = count(&together, text);
            assert!(found >= times, "{text}: {found}");
        }
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
