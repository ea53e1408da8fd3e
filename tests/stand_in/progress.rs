//! Tasks that come on by polls, by time, at once or by hand; and what becomes of
//! them.

use futures_util::future::join_all;
use kootask::config::Defaults;

use super::{detail, stand_in, status};
use crate::support::TestApp;
use crate::support::client::{IMPORT, TRANSFER};

const POLLS: &str = "progress = 'new 2 polls, executing 3 polls'";

fn transfer(src: &str) -> String {
    format!(r#"{{"taskType":0,"srcUserId":"{src}","dstUserId":"1507947856550550784"}}"#)
}

fn import(result: &str) -> String {
    IMPORT.replace("1575416580416769793", result)
}

#[tokio::test]
async fn a_task_is_new_and_executed_for_as_many_polls_as_was_said() {
    let app = stand_in(POLLS).await;
    let id = app.create(TRANSFER).send().await.task_id();
    let mut seen = Vec::new();
    for _ in 0..7 {
        seen.push(status(&app, id).await);
    }
    assert_eq!(seen, [0, 0, 1, 1, 1, 2, 2]);
}

#[tokio::test]
async fn of_twenty_polls_at_once_exactly_as_many_say_new_as_was_said() {
    let app = stand_in("progress = 'new 7 polls, executing 5 polls'").await;
    let id = app.create(TRANSFER).send().await.task_id();
    let seen = join_all((0..20).map(|_| status(&app, id))).await;
    let count = |status| seen.iter().filter(|seen| **seen == status).count();
    assert_eq!((count(0), count(1), count(2)), (7, 5, 8));
}

#[tokio::test]
async fn a_list_polls_what_it_shows_and_the_stand_ins_own_reads_poll_nothing() {
    let app = stand_in("progress = 'new 1 poll, executing 1 poll'").await;
    let id = app.create(TRANSFER).send().await.task_id();
    let listed = async |status: &str| {
        let target = format!("/koodrive/ose/v1/task/list?status={status}");
        let answer = app.read(&target).send().await;
        answer.body["taskList"].as_array().unwrap().len()
    };
    for _ in 0..3 {
        let own = app.control("GET", &format!("tasks/{id}"), "").await;
        assert_eq!(own.body["status"], "NEW", "{own:?}");
        let own = app.control("GET", "tasks", "").await;
        assert_eq!(own.body["tasks"][0]["status"], "NEW", "{own:?}");
        assert_eq!(listed("2").await, 0, "it is not shown");
    }
    assert_eq!(listed("0").await, 1);
    assert_eq!(listed("0").await, 0);
    assert_eq!(listed("1").await, 1);
    assert_eq!(listed("2").await, 1);
}

#[tokio::test]
async fn tasks_that_come_on_by_time_end_at_the_moments_at_which_they_were_due() {
    let app = stand_in("progress = 'new 10s, executing 50s'\nclock = '2026-01-01T00:00:00Z'").await;
    let id = app.create(TRANSFER).send().await.task_id();
    assert_eq!(status(&app, id).await, 0);
    let turned = app.control("POST", "clock/advance", r#"{"by":"1h"}"#).await;
    assert_eq!(turned.body["now"], "2026-01-01T01:00:00.001Z");
    let list = app.read("/koodrive/ose/v1/task/list").send().await;
    let task = &list.body["taskList"][0];
    assert_eq!(task["status"], 2);
    assert_eq!(task["createTime"], "2026-01-01T00:00:00.000Z");
    assert_eq!(task["startTime"], "2026-01-01T00:00:10.000Z");
    assert_eq!(task["endTime"], "2026-01-01T00:01:00.000Z");
}

#[tokio::test]
async fn by_the_wall_clock_a_task_ends_though_nobody_looks() {
    let app = stand_in("progress = 'new 10ms, executing 10ms'").await;
    let id = app.create(TRANSFER).send().await.task_id();
    let path = format!("tasks/{id}?until=SUCCESS,FAILED&within=30s");
    let task = app.control("GET", &path, "").await;
    assert_eq!(task.body["status"], "SUCCESS", "{task:?}");
}

#[tokio::test]
async fn immediate_is_at_once_and_manual_is_never() {
    let at_once = stand_in("progress = 'immediate'").await;
    let id = at_once.create(TRANSFER).send().await.task_id();
    assert_eq!(status(&at_once, id).await, 2);

    let by_hand = stand_in("progress = 'manual'").await;
    let id = by_hand.create(TRANSFER).send().await.task_id();
    assert_eq!(status(&by_hand, id).await, 0);
    let step = format!("tasks/{id}/step");
    let refused = by_hand.control("POST", &step, r#"{"to":"NEW"}"#).await;
    assert_eq!(refused.status, 409);
    let led = by_hand
        .control("POST", &step, r#"{"to":"EXECUTING"}"#)
        .await;
    assert_eq!(led.body["status"], "EXECUTING", "{led:?}");
    let failed = r#"{"to":"FAILED","resultCode":"18000999"}"#;
    let led = by_hand.control("POST", &step, failed).await;
    assert_eq!(led.body["resultCode"], "18000999");
    for back in ["EXECUTING", "SUCCESS", "FAILED"] {
        let back = format!(r#"{{"to":"{back}"}}"#);
        let refused = by_hand.control("POST", &step, &back).await;
        assert_eq!(refused.status, 409, "{back}");
    }
    assert_eq!(detail(&by_hand, id).await["resultCode"], "18000999");
}

#[tokio::test]
async fn ids_with_a_meaning_fail_and_get_stuck() {
    let app = stand_in("progress = 'immediate'").await;
    for (src, shown, code) in [
        ("1--fail", 3, Some("18000205")),
        ("1--fail-18000999", 3, Some("18000999")),
        ("1--stuck-new", 0, None),
        ("1--stuck-executing", 1, None),
        ("1", 2, None),
    ] {
        let id = app.create(&transfer(src)).send().await.task_id();
        let task = detail(&app, id).await;
        assert_eq!(task["status"], shown, "{src}");
        assert_eq!(
            task.get("resultCode").and_then(|code| code.as_str()),
            code,
            "{src}"
        );
    }
}

#[tokio::test]
async fn an_import_ends_with_ten_users_or_with_the_rows_of_its_id() {
    let app = stand_in("progress = 'immediate'").await;
    for (result, imported, failed) in [("plain", 10, 0), ("some--rows-97-3", 97, 3)] {
        let id = app.create(&import(result)).send().await.task_id();
        let target = format!("/koodrive/ose/v1/task/result?taskId={id}");
        let data = &app.read(&target).send().await.body["data"];
        assert_eq!(data["successCount"], imported);
        assert_eq!(data["failCount"], failed);
        assert_eq!(data["failInfoList"].as_array().unwrap().len(), failed);
    }
}

#[tokio::test]
async fn tasks_come_on_in_another_store_too_and_its_controls_are_409() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("tasks.db");
    let toml = format!(
        "[dev]\n{POLLS}\n[store]\nurl = 'sqlite://{}'",
        store.display()
    );
    let app = TestApp::start(&toml, Defaults::Dev).await;
    let id = app.create(&transfer("1--fail")).send().await.task_id();
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(status(&app, id).await);
    }
    assert_eq!(seen, [0, 0, 1, 1, 1, 3]);
    for (method, path, body) in [
        ("POST", "reset", ""),
        ("GET", "state", ""),
        ("PUT", "state", "{}"),
        ("PUT", "clock", "{}"),
        ("POST", "clock/advance", r#"{"by":"1h"}"#),
        ("POST", "tasks", r#"{"tasks":[]}"#),
    ] {
        let answer = app.control(method, path, body).await;
        assert_eq!(answer.status, 409, "{method} {path}");
        let why = answer.body["msg"].as_str().unwrap();
        assert!(why.contains("memory:"), "{why}");
    }
    app.stop().await;
}
