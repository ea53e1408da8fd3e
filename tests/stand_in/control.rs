//! What a test sets up, and takes back.

use kootask::config::Defaults;

use super::{detail, stand_in, status};
use crate::support::TestApp;
use crate::support::client::TRANSFER;

#[tokio::test]
async fn after_a_reset_the_export_is_that_of_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let seed = folder.path().join("seed.toml");
    std::fs::write(
        &seed,
        "clock = '2026-01-01T00:00:00Z'\n\
         [[tasks]]\nage = '1h'\nstatus = 'FAILED'\nresultCode = '18000205'\n\
         srcUserId = '139'\ndstUserId = '150'\n\
         [[tasks]]\nid = '2091531903533318144'\ntaskType = 1\nstatus = 'SUCCESS'\n\
         resultId = 'r'\norgId = 'o'\norgUserId = 'u'\n\
         result = { successCount = 1, failures = [{ userName = 'ss', desc = 'exists' }] }\n\
         [[rules]]\nmatch = { srcUserId = '139*' }\nthen = { end = 'FAILED' }\n",
    )
    .unwrap();
    let app = stand_in(&format!("seed = '{}'", seed.display())).await;
    let first = app.control("GET", "state", "").await.body;
    assert_eq!(first["tasks"].as_array().unwrap().len(), 2, "{first}");
    for _ in 0..3 {
        app.create(TRANSFER).send().await.task_id();
    }
    app.control("POST", "clock/advance", r#"{"by":"1h"}"#).await;
    let rule = r#"{"match":{},"then":{"end":"FAILED"}}"#;
    assert_eq!(app.control("POST", "rules", rule).await.body["id"], "r1");
    assert_ne!(app.control("GET", "state", "").await.body, first);

    let reset = app.control("POST", "reset", "").await;
    assert_eq!(reset.body["generation"], 2);
    assert_eq!(app.control("GET", "state", "").await.body, first);
    // What is exported is taken as it is.
    let other = TestApp::start("[dev]\nprogress = 'manual'", Defaults::Dev).await;
    let taken = other.control("PUT", "state", &first.to_string()).await;
    assert_eq!(taken.status, 200, "{taken:?}");
    assert_eq!(other.control("GET", "state", "").await.body, first);
}

#[tokio::test]
async fn tasks_are_added_in_any_state_and_found_by_it() {
    let app = stand_in("progress = 'manual'").await;
    let tasks = r#"{"tasks":[
        {"status":"EXECUTING","srcUserId":"leaver","dstUserId":"heir","age":"2h"},
        {"status":"FAILED","srcUserId":"other","dstUserId":"heir","resultCode":"18000205"}
    ]}"#;
    let added = app.control("POST", "tasks", tasks).await;
    assert_eq!(added.status, 200, "{added:?}");
    let id = added.body["tasks"][0]["id"].as_str().unwrap();
    assert_eq!(status(&app, id.parse().unwrap()).await, 1);
    let found = async |query: &str| {
        let found = app.control("GET", &format!("tasks?{query}"), "").await;
        found.body["tasks"].as_array().unwrap().len()
    };
    assert_eq!(found("status=FAILED").await, 1);
    // Of letters: a number can be part of a task's id.
    assert_eq!(found("q=leaver").await, 1);
    assert_eq!(found("q=heir").await, 2);
    assert_eq!(found("type=1").await, 0);
}

#[tokio::test]
async fn a_clock_is_turned_until_nothing_goes_on_any_more() {
    let app = stand_in("progress = 'new 1h, executing 300h'").await;
    let id = app.create(TRANSFER).send().await.task_id();
    let idle = r#"{"until":"idle"}"#;
    let turned = app.control("POST", "clock/advance", idle).await;
    assert_eq!(turned.body["frozen"], false);
    assert_eq!(status(&app, id).await, 2);
    let frozen = r#"{"now":"2026-01-01T00:00:00Z","frozen":true}"#;
    let set = app.control("PUT", "clock", frozen).await;
    assert_eq!(set.body["now"], "2026-01-01T00:00:00Z");
    let id = app.create(TRANSFER).send().await.task_id();
    let task = app.control("GET", &format!("tasks/{id}"), "").await;
    assert_eq!(task.body["createdAt"], "2026-01-01T00:00:00Z");
    assert_eq!(task.body["next"]["at"], "2026-01-01T01:00:00Z");
}

#[tokio::test]
async fn a_rule_decides_what_becomes_of_the_tasks_that_it_matches() {
    let app = stand_in(
        "progress = 'immediate'\n\
         [[dev.rules]]\nmatch = { taskType = 0, srcUserId = '139*' }\nevery = 2\n\
         then = { resultCode = '18000999' }",
    )
    .await;
    let create = async |src: &str| {
        let body = TRANSFER.replace("1397687227244555008", src);
        let id = app.create(&body).send().await.task_id();
        detail(&app, id).await["status"].as_i64().unwrap()
    };
    assert_eq!(create("139a").await, 2);
    assert_eq!(create("140").await, 2);
    assert_eq!(create("139b").await, 3, "each second one");
    let rule = r#"{"match":{"srcUserId":"139c"},"times":1,"then":{"end":"stuck-new"}}"#;
    let set = app.control("POST", "rules", rule).await.body;
    assert_eq!(create("139c").await, 0, "the newest rule first");
    assert_eq!(create("139c").await, 2, "once");
    let rules = app.control("GET", "rules", "").await.body;
    assert_eq!(rules["rules"][0]["used"], 1, "{rules}");
    let path = format!("rules/{}", set["id"].as_str().unwrap());
    assert_eq!(app.control("DELETE", &path, "").await.status, 200);
    assert_eq!(app.control("DELETE", &path, "").await.status, 404);
}

#[tokio::test]
async fn a_repeated_create_uses_no_rule_up() {
    let app = stand_in("progress = 'immediate'").await;
    let rule = r#"{"times":2,"then":{"end":"FAILED"}}"#;
    app.control("POST", "rules", rule).await;
    let first = app.create(TRANSFER).header("Idempotency-Key", "one");
    let id = first.clone().send().await.task_id();
    for _ in 0..3 {
        assert_eq!(first.clone().send().await.task_id(), id);
    }
    let second = app.create(TRANSFER).send().await.task_id();
    assert_eq!((status(&app, id).await, status(&app, second).await), (3, 3));
    let third = app.create(TRANSFER).send().await.task_id();
    assert_eq!(status(&app, third).await, 2);
}

#[tokio::test]
async fn what_is_wrong_is_400_or_415_and_changes_nothing() {
    let app = stand_in("progress = 'manual'").await;
    for (path, body) in [
        ("rules", r#"{"then":{"end":"FAILED"},"more":1}"#),
        (
            "rules",
            r#"{"match":{"srcUserID":"1"},"then":{"end":"FAILED"}}"#,
        ),
        ("rules", r#"{"then":{}}"#),
        ("rules", r#"{"then":{"status":418}}"#),
        ("tasks", r#"{"tasks":[{"srcUserId":"1","dstUserId":"1"}]}"#),
        ("clock/advance", r#"{"by":"-1h"}"#),
        ("clock/advance", "{"),
    ] {
        let answer = app.control("POST", path, body).await;
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
    }
    let late = r#"{"then":{"delay":"soon"}}"#;
    let late = app.control("POST", "rules", late).await;
    let told = late.body["msg"].as_str().unwrap();
    assert!(told.starts_with("a delay must be a time"), "{told}");
    let form = app
        .call("POST", "/kootask/dev/rules")
        .header("Content-Type", "text/plain")
        .body(r#"{"then":{"end":"FAILED"}}"#)
        .send()
        .await;
    assert_eq!(form.status, 415);
    let rules = app.control("GET", "rules", "").await.body;
    assert_eq!(rules["rules"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn a_page_of_another_site_is_403_and_changes_nothing() {
    let app = stand_in("trust = ['console.example.com']").await;
    let reset = |host: &str| app.call("POST", "/kootask/dev/reset").header("Host", host);
    for (call, status) in [
        (reset("evil.example"), 403),
        (
            reset("127.0.0.1:8080").header("Origin", "https://evil.example"),
            403,
        ),
        (
            reset("127.0.0.1:8080").header("Sec-Fetch-Site", "cross-site"),
            403,
        ),
        (
            reset("127.0.0.1:8080").header("Sec-Fetch-Site", "same-site"),
            403,
        ),
    ] {
        let answer = call.send().await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    let rebound = app
        .call("GET", "/kootask/dev/state")
        .header("Host", "evil.example");
    assert_eq!(rebound.send().await.status, 403);
    let generation = app.control("GET", "health", "").await.body["generation"].clone();
    assert_eq!(generation, 1);
    let trusted = reset("console.example.com").header("Origin", "http://console.example.com");
    assert_eq!(trusted.send().await.status, 200);
}

#[tokio::test]
async fn names_that_no_public_site_has_and_any_address_pass_without_a_setting() {
    let app = stand_in("progress = 'manual'").await;
    for host in [
        "kootask",
        "kootask:8080",
        "koodrive.test",
        "koodrive.test:80",
        "127.0.0.1:8080",
        "192.0.2.7",
        "203.0.113.9:8080",
        "[::1]:8080",
        "[2001:db8::7]",
    ] {
        let reset = app.call("POST", "/kootask/dev/reset").header("Host", host);
        let reset = reset.header("Origin", &format!("http://{host}"));
        let reset = reset.header("Sec-Fetch-Site", "same-origin");
        assert_eq!(reset.send().await.status, 200, "{host}");
    }
}

/// The paths of the stand-in's own calls, as their routes are written.
fn paths() -> Vec<String> {
    let calls = concat!(
        include_str!("../../src/stand_in/calls/mod.rs"),
        include_str!("../../src/stand_in/page/mod.rs")
    );
    let routes = calls.split(".route(\"").skip(1);
    let paths = routes.filter_map(|rest| rest.split('"').next());
    paths
        .map(|path| path.replace("{id}", "1").replace("{seq}", "1"))
        .collect()
}

#[tokio::test]
async fn in_serve_nothing_of_the_stand_in_exists() {
    let paths = paths();
    assert!(paths.len() >= 19, "{paths:?}");
    let verify = "[auth]\n[[auth.apps]]\napp_id = 'a'\ntenant_id = 'a'\n\
                  app_secret = 'the-secret-of-the-console'";
    for toml in ["[auth]\nmode = 'accept-any'", verify] {
        let app = TestApp::start(toml, Defaults::Serve).await;
        for path in &paths {
            for method in ["GET", "POST", "PUT", "DELETE"] {
                let call = app.call(method, path).body("{}");
                let answer = call.header("Content-Type", "application/json").send().await;
                assert_eq!(answer.status, 404, "{method} {path}");
            }
        }
        app.stop().await;
    }
}

#[tokio::test]
async fn in_serve_no_credential_names_a_tenant_and_no_setting_of_the_stand_in_is_taken() {
    let app = TestApp::start("[auth]\nmode = 'accept-any'", Defaults::Serve).await;
    let id = app
        .create(TRANSFER)
        .bearer("tenant.a")
        .send()
        .await
        .task_id();
    assert_eq!(detail(&app, id).await["tenantId"], "dev");
    let refused = kootask::config::Config::from_toml("[dev]\nprogress = 'manual'", Defaults::Serve);
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("dev: is for «kootask dev» alone (line 1)"),
        "{refused}"
    );
}
