//! `GET /koodrive/ose/v1/task/list`.

use kootask::config::Defaults;
use kootask::task::life_cycle::Step;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::client::{Answer, IMPORT, TRANSFER, USER};
use crate::support::credentials::token;

async fn list(app: &TestApp, query: &str) -> Answer {
    app.read(&format!("/koodrive/ose/v1/task/list{query}"))
        .send()
        .await
}

fn ids(answer: &Answer) -> Vec<i64> {
    let tasks = answer.body["taskList"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer:?}"));
    tasks
        .iter()
        .map(|task| task["taskId"].as_str().unwrap().parse().unwrap())
        .collect()
}

#[tokio::test]
async fn an_item_has_what_the_reference_lists_and_leaves_out_what_has_no_value() {
    let app = TestApp::dev().await;
    let id = app
        .create(TRANSFER)
        .header("language", "zh_CN")
        .send()
        .await
        .task_id();
    let answer = list(&app, "").await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (StatusCode::OK, &json!(0))
    );
    assert_eq!(answer.body["msg"], "Success.");
    assert_eq!(answer.body.get("nextCursor"), None);
    let item = &answer.body["taskList"][0];
    let time = item["createTime"].as_str().unwrap();
    assert_eq!(
        (time.len(), &time[19..20], &time[23..]),
        (24, ".", "Z"),
        "{time}"
    );
    assert_eq!(
        *item,
        json!({
            "taskId": id.to_string(), "taskName": "1397687227244555008", "taskType": 0,
            "tenantId": "dev", "userId": USER, "status": 0, "locale": "zh-CN",
            "initParams": "{\"srcUserId\":\"1397687227244555008\",\"dstUserId\":\"1507947856550550784\"}",
            "createTime": time,
        })
    );
    app.stop().await;
}

#[tokio::test]
async fn an_ended_task_has_its_times_and_a_failed_one_its_code() {
    let app = TestApp::dev().await;
    let id = app.create(IMPORT).send().await.task_id();
    app.step(id, Step::Start).await;
    app.step(id, Step::Fail("18000205".parse().unwrap())).await;
    let item = &list(&app, "").await.body["taskList"][0];
    assert_eq!(
        (&item["status"], &item["resultCode"]),
        (&json!(3), &json!("18000205"))
    );
    assert_eq!(item["taskName"], "batch-import-1575416580416769793");
    for time in ["startTime", "endTime"] {
        assert!(item[time].as_str().unwrap() >= item["createTime"].as_str().unwrap());
    }
    app.stop().await;
}

#[tokio::test]
async fn the_cursor_leads_through_all_pages_in_either_order() {
    let app = TestApp::dev().await;
    let mut created = Vec::new();
    for _ in 0..7 {
        created.push(app.create(TRANSFER).send().await.task_id());
    }
    for order in ["asc", "desc"] {
        let (mut walked, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let query = format!("?pageSize=3&order={order}&pageCursor={cursor}");
            let answer = list(&app, &query).await;
            walked.extend(ids(&answer));
            pages += 1;
            match answer.body.get("nextCursor") {
                Some(Value::String(next)) => cursor.clone_from(next),
                None => break,
                other => panic!("{other:?}"),
            }
        }
        if order == "desc" {
            walked.reverse();
        }
        assert_eq!((walked, pages), (created.clone(), 3));
    }
    // A last page that is full has no cursor either.
    assert_eq!(list(&app, "?pageSize=7").await.body.get("nextCursor"), None);
    app.stop().await;
}

#[tokio::test]
async fn type_and_status_choose_in_every_spelling() {
    let app = TestApp::dev().await;
    let new = app.create(TRANSFER).send().await.task_id();
    let executing = app.create(TRANSFER).send().await.task_id();
    let done = app.create(IMPORT).send().await.task_id();
    app.step(executing, Step::Start).await;
    app.step(done, Step::Start).await;
    app.step(done, Step::Succeed).await;
    for (query, expected) in [
        ("?status=0", vec![new]),
        ("?status=1&status=2", vec![executing, done]),
        ("?status=1,2", vec![executing, done]),
        ("?status=0,1&taskType=0&status=2", vec![new, executing]),
        ("?taskType=1", vec![done]),
        ("?status=3", vec![]),
        (
            "?status=&taskType=&pageSize=&pageCursor=&order=",
            vec![new, executing, done],
        ),
        ("?status&unknown=1", vec![new, executing, done]),
    ] {
        assert_eq!(ids(&list(&app, query).await), expected, "{query}");
    }
    app.stop().await;
}

#[tokio::test]
async fn every_wrong_parameter_is_reported_at_once() {
    let app = TestApp::dev().await;
    let query = "?taskType=2&status=1,x&pageSize=101&pageCursor=next&order=up";
    let answer = list(&app, query).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.body["code"], 13_000_102);
    let details = answer.body["details"].as_array().unwrap();
    let fields: Vec<_> = details
        .iter()
        .map(|detail| detail["field"].as_str().unwrap())
        .collect();
    assert_eq!(
        fields,
        ["taskType", "status", "pageSize", "pageCursor", "order"]
    );
    for query in [
        "?pageSize=0",
        "?pageSize=-1",
        "?pageSize=1&pageSize=2",
        "?pageCursor=0",
        "?taskType=x",
    ] {
        assert_eq!(
            list(&app, query).await.status,
            StatusCode::BAD_REQUEST,
            "{query}"
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn a_tenant_sees_its_own_tasks_alone() {
    let toml = token("one", "acme") + &token("two", "umbrella");
    let app = TestApp::start(&toml, Defaults::Serve).await;
    let of_one = app.create(TRANSFER).bearer("one").send().await.task_id();
    let of_two = app.create(TRANSFER).bearer("two").send().await.task_id();
    for (token, tenant, id) in [("one", "acme", of_one), ("two", "umbrella", of_two)] {
        let answer = app
            .read("/koodrive/ose/v1/task/list")
            .bearer(token)
            .send()
            .await;
        assert_eq!(ids(&answer), [id]);
        assert_eq!(answer.body["taskList"][0]["tenantId"], tenant);
    }
    app.stop().await;
}

#[tokio::test]
async fn a_query_is_decoded_once_and_its_integers_are_those_of_json() {
    let app = TestApp::dev().await;
    let id = app.create(TRANSFER).send().await.task_id();
    for query in [
        "?status[]=0",
        "?status%5B%5D=0&status[]=1",
        "?status=0,%201",
        "?pageSize=5.0&taskType=0e0",
        "?%70ageSize=%35",
    ] {
        assert_eq!(ids(&list(&app, query).await), [id], "{query}");
    }
    for (query, field) in [
        ("?pageSize=+5", "pageSize"),
        ("?pageSize=%2B5", "pageSize"),
        ("?pageSize=007", "pageSize"),
        ("?pageSize=%2535", "pageSize"),
        ("?pageSize=5+", "pageSize"),
        ("?taskType=00", "taskType"),
        ("?status=0+1", "status"),
    ] {
        let answer = list(&app, query).await;
        assert_eq!(answer.body["details"][0]["field"], field, "{query}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_long_list_of_wrong_values_is_told_in_one_short_answer() {
    let app = TestApp::dev().await;
    let many = vec!["9"; 15_000].join(",");
    let answer = list(&app, &format!("?status={many}&status=x")).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        answer.body["details"],
        json!([{"field": "status", "reason": "must have at most 100 values"}])
    );
    let answer = list(&app, "?status=9,9&status=x").await;
    assert_eq!(answer.body["details"].as_array().unwrap().len(), 1);
    app.stop().await;
}
