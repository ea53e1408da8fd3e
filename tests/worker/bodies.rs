//! What a worker's body may hold: every violation is told at once.

use kootask::worker;
use serde_json::{Value, json};

use super::{begun, path, report};
use crate::support::TestApp;
use crate::support::client::{Answer, IMPORT};

/// What is wrong, as `field: reason`.
#[track_caller]
fn details(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 400, "{answer:?}");
    let details = answer.body["details"].as_array().unwrap();
    let line = |detail: &Value| {
        let text = |name| detail[name].as_str().unwrap().to_owned();
        format!("{}: {}", text("field"), text("reason"))
    };
    details.iter().map(line).collect()
}

#[tokio::test]
async fn every_violation_of_a_claim_is_told_at_once() {
    let app = TestApp::dev().await;
    let claim = async |body: Value| details(&app.worker(worker::CLAIM, &body).send().await);
    assert_eq!(
        claim(json!({})).await,
        ["worker: is required", "claimId: is required"]
    );
    let all = json!({
        "worker": "a b",
        "claimId": "0b7e4f0e",
        "taskTypes": [7],
        "max": 101,
        "leaseSeconds": 9,
        "waitSeconds": 31,
    });
    assert_eq!(
        claim(all).await,
        [
            "worker: must be 1 to 64 characters of A-Z a-z 0-9 _ -",
            "claimId: must be a UUID",
            "taskTypes: must be 0 (transfer and deletion) or 1 (batch import)",
            "max: must be an integer from 1 to 100",
            "leaseSeconds: must be an integer from 10 to 3600",
            "waitSeconds: must be an integer from 0 to 30",
        ]
    );
    let claim_id = "0b7e4f0e-6a57-4ac5-9a5c-2f0a0a8a4a4e";
    for (field, wrong) in [
        ("max", json!(0)),
        ("max", json!("1")),
        ("max", json!(1.5)),
        ("leaseSeconds", json!(3601)),
        ("waitSeconds", json!(-1)),
        ("taskTypes", json!([])),
        ("taskTypes", json!(0)),
        ("taskTypes", json!(["0"])),
        ("worker", json!(17)),
    ] {
        let mut body = json!({"worker": "w", "claimId": claim_id});
        body[field] = wrong.clone();
        let told = claim(body).await;
        assert_eq!(told.len(), 1, "{field} {wrong}");
        assert!(told[0].starts_with(&format!("{field}: ")), "{told:?}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_report_names_what_is_wrong_with_it() {
    let app = TestApp::dev().await;
    let id = begun(&app).await;
    let told = async |template, body: Value| details(&report(&app, template, id, &body).await);
    for template in [worker::COMPLETE, worker::FAIL, worker::RELEASE] {
        assert_eq!(told(template, json!({})).await, ["fence: is required"]);
        for fence in [json!(0), json!(-1), json!(4_294_967_296_i64), json!("1")] {
            let wrong = told(template, json!({ "fence": fence })).await;
            assert_eq!(wrong, ["fence: must be an integer from 1 to 4294967295"]);
        }
    }
    let one_count = json!({"fence": 1, "successCount": 1});
    assert_eq!(
        told(worker::COMPLETE, one_count).await,
        ["failCount: is required"]
    );
    let fail = json!({"resultCode": "17000000", "retry": "yes", "afterSeconds": 604_801});
    assert_eq!(
        told(worker::FAIL, fail).await,
        [
            "fence: is required",
            "resultCode: must be 18 and six more digits",
            "retry: must be true or false",
            "afterSeconds: must be an integer from 0 to 604800",
        ]
    );
    for code in [json!(18_000_205), json!(""), json!("180002055"), json!([])] {
        let body = json!({"fence": 1, "resultCode": code});
        let wrong = told(worker::FAIL, body).await;
        assert_eq!(wrong, ["resultCode: must be 18 and six more digits"]);
    }
    app.stop().await;
}

#[tokio::test]
async fn each_task_of_a_heartbeat_and_each_row_is_judged() {
    let app = TestApp::dev().await;
    let id = app.create(IMPORT).send().await.task_id();
    let beats = json!({"tasks": [
        {"taskId": id.to_string(), "fence": 1},
        {"taskId": id, "fence": 0},
        7,
    ]});
    assert_eq!(
        details(&app.worker(worker::HEARTBEAT, &beats).send().await),
        [
            "tasks[1].taskId: must be a string: a JSON number of this size loses digits in many clients",
            "tasks[1].fence: must be an integer from 1 to 4294967295",
            "tasks[2]: must be an object",
        ]
    );
    let beat = json!({"taskId": "1", "fence": 1});
    for count in [0, 1001] {
        let beats = json!({ "tasks": vec![beat.clone(); count] });
        let answer = app.worker(worker::HEARTBEAT, &beats).send().await;
        assert_eq!(details(&answer), ["tasks: must have 1 to 1000 entries"]);
    }
    let most = json!({ "tasks": vec![beat; 1000] });
    let answer = app.worker(worker::HEARTBEAT, &most).send().await;
    assert_eq!(answer.body["tasks"].as_array().unwrap().len(), 1000);

    let long = "长".repeat(257);
    let rows = json!({"fence": 1, "from": -1, "rows": [
        {"userName": long, "desc": "x".repeat(1025)},
        {"userName": true, "desc": "a\u{0}b"},
        {"userName": "a", "desc": null},
        {"userName": "", "desc": ""},
    ]});
    let answer = report(&app, worker::FAILURES, id, &rows).await;
    assert_eq!(
        details(&answer),
        [
            "from: must be an integer from 0 to 9223372036854775807",
            "rows[0].userName: must be at most 256 characters, without U+0000",
            "rows[0].desc: must be at most 1024 characters, without U+0000",
            "rows[1].userName: must be a string",
            "rows[1].desc: must be at most 1024 characters, without U+0000",
            "rows[2].desc: is required",
        ]
    );
    let half = format!(
        r#"{{"fence":1,"from":0,"rows":[{{"userName":"{}","desc":""}}]}}"#,
        r"\ud800"
    );
    let call = app
        .worker(&path(worker::FAILURES, id), &Value::Null)
        .body(half);
    assert_eq!(
        details(&call.send().await),
        ["rows[0].userName: must be at most 256 characters, without U+0000"]
    );
    app.stop().await;
}

#[tokio::test]
async fn the_longest_page_of_failures_fits_and_a_longer_body_does_not() {
    let app = TestApp::dev().await;
    let id = app.create(IMPORT).send().await.task_id();
    app.apply(id, super::claim_of("dev")).await;
    let row = json!({"userName": "长".repeat(256), "desc": "长".repeat(1024)});
    let rows = |count| json!({"fence": 1, "from": 0, "rows": vec![row.clone(); count]});
    let answer = report(&app, worker::FAILURES, id, &rows(1000)).await;
    assert_eq!(answer.body["next"], 1000, "{answer:?}");
    let answer = report(&app, worker::FAILURES, id, &rows(1001)).await;
    assert_eq!(details(&answer), ["rows: must have 0 to 1000 entries"]);
    let answer = report(&app, worker::FAILURES, id, &rows(1200)).await;
    assert_eq!(answer.status, 413);
    // The other calls' bodies are held to the usual limit.
    let padded = json!({"fence": 1, "own": "x".repeat(20_000)});
    assert_eq!(
        report(&app, worker::COMPLETE, id, &padded).await.status,
        413
    );
    app.stop().await;
}
