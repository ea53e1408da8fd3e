//! `GET /koodrive/ose/v1/task/{task_id}`.

use kootask::config::Defaults;
use kootask::task::life_cycle::Step;
use reqwest::StatusCode;
use serde_json::json;

use crate::support::TestApp;
use crate::support::client::{Answer, TRANSFER, USER};
use crate::support::credentials::token;

async fn detail(app: &TestApp, id: impl std::fmt::Display) -> Answer {
    app.read(&format!("/koodrive/ose/v1/task/{id}"))
        .send()
        .await
}

#[tokio::test]
async fn a_task_is_shown_flat_and_its_code_only_when_it_failed() {
    let app = TestApp::dev().await;
    let id = app.create(TRANSFER).send().await.task_id();
    let mut expected = json!({
        "taskId": id.to_string(), "taskName": "1397687227244555008", "taskType": 0,
        "tenantId": "dev", "userId": USER, "status": 0, "code": 0, "msg": "Success.",
    });
    assert_eq!(detail(&app, id).await.body, expected);
    app.step(id, Step::Start).await;
    app.step(id, Step::Fail("18000205".parse().unwrap())).await;
    expected["status"] = json!(3);
    expected["resultCode"] = json!("18000205");
    assert_eq!(detail(&app, id).await.body, expected);
    app.stop().await;
}

#[tokio::test]
async fn no_task_and_another_tenants_task_are_the_same_404() {
    let toml = token("one", "acme") + &token("two", "umbrella");
    let app = TestApp::start(&toml, Defaults::Serve).await;
    let id = app.create(TRANSFER).bearer("one").send().await.task_id();
    let of = |id: i64| {
        app.read(&format!("/koodrive/ose/v1/task/{id}"))
            .bearer("two")
            .send()
    };
    let (theirs, none) = (of(id).await, of(id + 1).await);
    assert_eq!(theirs.status, StatusCode::NOT_FOUND);
    assert_eq!(
        theirs.body,
        json!({"code": 13_000_309, "msg": "The task does not exist."})
    );
    assert_eq!((none.status, none.body), (theirs.status, theirs.body));
    app.stop().await;
}

#[tokio::test]
async fn what_is_no_id_is_an_invalid_parameter() {
    let app = TestApp::dev().await;
    for text in [
        "abc",
        "0",
        "-1",
        "+1",
        "1.0",
        "9223372036854775808",
        "%FF",
        "%31x",
    ] {
        let answer = detail(&app, text).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{text}");
        assert_eq!(answer.body["code"], 13_000_102, "{text}");
        assert_eq!(answer.body["details"][0]["field"], "task_id", "{text}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_read_needs_a_credential_as_a_create_does() {
    let app = TestApp::start(&token("one", "acme"), Defaults::Serve).await;
    for path in ["list", "result", "dstUserInfo/u1", "1534087020903704704"] {
        let answer = app
            .read(&format!("/koodrive/ose/v1/task/{path}"))
            .send()
            .await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    app.stop().await;
}
