//! `GET /koodrive/ose/v1/task/result`.

use std::time::Duration;

use kootask::task::attempt::{Claim, Fence};
use kootask::task::import::{ImportCounts, ImportFailure};
use kootask::task::life_cycle::{Command, Report};
use reqwest::StatusCode;
use serde_json::json;
use uuid::Uuid;

use crate::support::TestApp;
use crate::support::client::{Answer, IMPORT, TRANSFER};

const HOUR: Duration = Duration::from_secs(3600);

async fn result(app: &TestApp, query: &str) -> Answer {
    app.read(&format!("/koodrive/ose/v1/task/result{query}"))
        .send()
        .await
}

#[tokio::test]
async fn the_counts_so_far_are_there_before_the_end() {
    let app = TestApp::dev().await;
    let id = app.create(IMPORT).send().await.task_id();
    let nothing = json!({
        "data": {"successCount": 0, "failCount": 0, "failInfoList": []},
        "code": 0, "msg": "Success.",
    });
    assert_eq!(result(&app, &format!("?taskId={id}")).await.body, nothing);
    let claim = Claim {
        claim_id: Uuid::new_v4(),
        worker: "w1".parse().unwrap(),
        holder: "migrator".parse().unwrap(),
        lease: Duration::from_secs(60),
    };
    app.apply(
        id,
        Command::Claim {
            claim,
            timeout: HOUR,
        },
    )
    .await;
    let report = Report {
        fence: Fence::new(1),
        holder: "migrator".parse().unwrap(),
    };
    let rows = vec![ImportFailure {
        user_name: "ss".to_owned(),
        description: "…".to_owned(),
    }];
    app.apply(
        id,
        Command::RecordFailures {
            report: report.clone(),
            from: 0,
            rows,
        },
    )
    .await;
    let counts = ImportCounts {
        succeeded: 1,
        failed: 1,
    };
    app.apply(
        id,
        Command::Heartbeat {
            report,
            counts: Some(counts),
            timeout: HOUR,
        },
    )
    .await;
    let expected = json!({
        "data": {
            "successCount": 1, "failCount": 1,
            "failInfoList": [{"userName": "ss", "desc": "…"}],
        },
        "code": 0, "msg": "Success.",
    });
    for query in [
        format!("?taskId={id}"),
        format!("?taskid={id}"),
        String::new(),
        "?taskId=".into(),
    ] {
        assert_eq!(result(&app, &query).await.body, expected, "{query}");
    }
    app.stop().await;
}

#[tokio::test]
async fn without_an_id_it_is_the_callers_newest_import() {
    let app = TestApp::dev().await;
    assert_eq!(result(&app, "").await.status, StatusCode::NOT_FOUND);
    app.create(IMPORT)
        .header("X-User-Id", "somebody-else")
        .send()
        .await
        .task_id();
    assert_eq!(result(&app, "").await.status, StatusCode::NOT_FOUND);
    app.create(IMPORT).send().await.task_id();
    assert_eq!(result(&app, "").await.status, StatusCode::OK);
    app.stop().await;
}

#[tokio::test]
async fn a_transfers_id_is_an_invalid_parameter_and_an_unknown_one_is_404() {
    let app = TestApp::dev().await;
    let id = app.create(TRANSFER).send().await.task_id();
    let answer = result(&app, &format!("?taskId={id}")).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.body["details"][0]["field"], "taskId");
    let answer = result(&app, &format!("?taskId={}", id + 1)).await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (StatusCode::NOT_FOUND, &json!(13_000_309))
    );
    for query in ["?taskId=x", "?taskId=1&taskid=2", "?taskId=1&taskId=1"] {
        assert_eq!(
            result(&app, query).await.status,
            StatusCode::BAD_REQUEST,
            "{query}"
        );
    }
    app.stop().await;
}
