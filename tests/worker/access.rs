//! Who may make which calls.

use jiff::SignedDuration;
use kootask::config::Defaults;
use kootask::{api, tenant, worker};
use serde_json::json;

use super::{claim_of, path};
use crate::support::TestApp;
use crate::support::client::{Call, IMPORT, TRANSFER};
use crate::support::clock::TestClock;
use crate::support::credentials::{app as app_entry, token, worker as worker_entry};

every_store! {
    tasks_of_tenants_and_types_outside_do_not_exist_for_a_worker,
    a_tenant_reaches_no_task_of_another,
}

const REPORTS: [&str; 4] = [
    worker::COMPLETE,
    worker::FAIL,
    worker::RELEASE,
    worker::FAILURES,
];

/// Every call of workers, for this task.
fn of_workers(app: &TestApp, id: i64) -> Vec<Call> {
    let beat = json!({"tasks": [{"taskId": id.to_string(), "fence": 1}]});
    let claim = json!({"worker": "w", "claimId": "0b7e4f0e-6a57-4ac5-9a5c-2f0a0a8a4a4e"});
    let mut calls = vec![
        app.worker(worker::CLAIM, &claim),
        app.worker(worker::HEARTBEAT, &beat),
    ];
    let report = json!({"fence": 1, "from": 0, "rows": []});
    calls.extend(REPORTS.map(|template| app.worker(&path(template, id), &report)));
    calls
}

/// Every call of the console, for this task.
fn of_the_console(app: &TestApp, id: i64) -> Vec<Call> {
    let mut calls = vec![
        app.create(TRANSFER),
        app.read(api::LIST),
        app.read(&path(api::DETAIL, id)),
        app.read(api::RESULT),
        app.read(&api::RECIPIENT.replace("{src_user_id}", "somebody")),
    ];
    calls.extend([tenant::CANCEL, tenant::RETRY].map(|template| app.post(&path(template, id))));
    calls.extend([tenant::ATTEMPTS, tenant::FAILURES].map(|name| app.read(&path(name, id))));
    calls
}

fn configuration() -> String {
    token("console-token", "acme")
        + &app_entry("console", "secret-of-the-console", "acme")
        + &worker_entry("migrator", "worker-token", "[\"*\"]")
}

#[tokio::test]
async fn no_credential_opens_the_paths_of_the_other_kind() {
    for defaults in [Defaults::Serve, Defaults::Dev] {
        let app = TestApp::start(&configuration(), defaults).await;
        let created = app.create(TRANSFER).bearer("console-token").send().await;
        let id = created.task_id();
        for call in of_workers(&app, id) {
            let with_token = call.clone().bearer("console-token").send().await;
            assert_eq!(with_token.status, 401, "{defaults:?} {with_token:?}");
            let call = call
                .header("X-User-Id", "somebody")
                .at(jiff::Timestamp::now());
            let signed = call.signed("console", "secret-of-the-console").send().await;
            assert_eq!(signed.status, 401, "{defaults:?} {signed:?}");
        }
        for call in of_the_console(&app, id) {
            let answer = call.bearer("worker-token").send().await;
            assert_eq!(answer.status, 401, "{defaults:?} {answer:?}");
        }
        app.stop().await;
    }
}

#[tokio::test]
async fn a_worker_needs_its_token_and_no_other_header() {
    let app = TestApp::start(&configuration(), Defaults::Serve).await;
    let beat = json!({"tasks": [{"taskId": "1", "fence": 1}]});
    let call = || app.worker(worker::HEARTBEAT, &beat);
    let admitted = call().bearer("worker-token").send().await;
    assert_eq!(admitted.body["tasks"][0]["state"], "lost");
    for refused in [call().without("Authorization"), call().bearer("another")] {
        let answer = refused.send().await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["code"]),
            (401, &json!(13_000_101))
        );
        let challenges: Vec<_> = answer.headers.get_all("www-authenticate").iter().collect();
        assert_eq!(challenges, ["Bearer realm=\"kootask workers\""]);
    }
    let no_trace = call().bearer("worker-token").header("X-Traceid", "a b");
    let answer = no_trace.send().await;
    assert_eq!(answer.body["details"][0]["field"], "X-Traceid");
    app.stop().await;
}

#[tokio::test]
async fn a_stand_in_takes_any_workers_token_and_none() {
    let app = TestApp::dev().await;
    let beat = json!({"tasks": [{"taskId": "1", "fence": 1}]});
    let call = || app.worker(worker::HEARTBEAT, &beat);
    for call in [
        call(),
        call().bearer("another"),
        call().without("Authorization"),
    ] {
        assert_eq!(call.send().await.status, 200);
    }
    app.stop().await;
}

#[tokio::test]
async fn a_workers_token_is_good_until_it_expires() {
    let clock = TestClock::new();
    let toml = configuration() + "expires_at = \"2025-11-03T07:02:40Z\"\n";
    let app = TestApp::start_at(&toml, Defaults::Serve, clock.clone()).await;
    let beat = json!({"tasks": [{"taskId": "1", "fence": 1}]});
    let call = app.worker(worker::HEARTBEAT, &beat).bearer("worker-token");
    clock.advance(SignedDuration::from_millis(59_999));
    assert_eq!(call.clone().send().await.status, 200);
    clock.advance(SignedDuration::from_millis(1));
    assert_eq!(call.send().await.status, 401);
    app.stop().await;
}

async fn tasks_of_tenants_and_types_outside_do_not_exist_for_a_worker(store: &str) {
    let toml = token("acme", "acme")
        + &token("umbrella", "umbrella")
        + &worker_entry("all", "all", "[\"*\"]")
        + &worker_entry("tenant", "tenant", "[\"acme\", \"initech\"]")
        + &worker_entry("imports", "imports", "[\"*\"]")
        + "task_types = [1]\n";
    let app = TestApp::start_on(store, &toml, Defaults::Serve).await;
    let create = |tenant: &str, body: &str| app.create(body).bearer(tenant).send();
    let (theirs, transfer, import) = (
        create("umbrella", TRANSFER).await.task_id(),
        create("acme", TRANSFER).await.task_id(),
        create("acme", IMPORT).await.task_id(),
    );
    for id in [theirs, transfer, import] {
        app.apply(id, claim_of("all")).await;
    }
    for (id, sees, does_not) in [
        (theirs, "all", vec!["tenant", "imports"]),
        (transfer, "tenant", vec!["imports"]),
        (import, "imports", vec![]),
    ] {
        let beat = json!({"tasks": [{"taskId": id.to_string(), "fence": 1}]});
        for token in does_not {
            for template in REPORTS {
                let body = json!({"fence": 1, "from": 0, "rows": []});
                let call = app.worker(&path(template, id), &body).bearer(token);
                let answer = call.send().await;
                let code = &answer.body["code"];
                assert_eq!(
                    (answer.status.as_u16(), code),
                    (404, &json!(13_000_309)),
                    "{token}"
                );
            }
            let answer = app
                .worker(worker::HEARTBEAT, &beat)
                .bearer(token)
                .send()
                .await;
            assert_eq!(answer.body["tasks"][0]["state"], "lost");
        }
        // Who sees a task that another credential claimed still cannot end it.
        let body = json!({"fence": 1});
        let call = app.worker(&path(worker::COMPLETE, id), &body).bearer(sees);
        let expected = if sees == "all" { 200 } else { 409 };
        assert_eq!(call.send().await.status, expected, "{sees}");
    }
    app.stop().await;
}

async fn a_tenant_reaches_no_task_of_another(store: &str) {
    let toml = token("one", "acme") + &token("two", "umbrella");
    let app = TestApp::start_on(store, &toml, Defaults::Serve).await;
    let id = app.create(IMPORT).bearer("one").send().await.task_id();
    let of_tenants = |app: &TestApp| of_the_console(app, id).split_off(5);
    for call in of_tenants(&app) {
        let answer = call.bearer("two").send().await;
        let code = &answer.body["code"];
        assert_eq!((answer.status.as_u16(), code), (404, &json!(13_000_309)));
    }
    let task = app.kept("acme", id).await;
    assert!(!task.cancel_requested);
    app.stop().await;
}
