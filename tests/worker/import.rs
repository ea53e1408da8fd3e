//! The users that an import could not take: written in pages, read in pages and as
//! a file (`download`).

use kootask::config::Defaults;
use kootask::{tenant, worker};
use serde_json::{Value, json};

use super::{claim_of, path, report};
use crate::support::TestApp;
use crate::support::client::{Answer, IMPORT, TRANSFER};

every_store! {
    a_repeat_of_a_page_is_harmless_and_a_gap_is_409,
    failures_are_read_page_by_page_of_one_attempt,
    a_transfer_has_no_failed_users,
}

pub(super) fn row(number: usize) -> (String, String) {
    (format!("user-{number}"), format!("=cmd({number})"))
}

/// A page from this position on.
pub(super) fn page(fence: u32, from: usize, count: usize) -> Value {
    let rows = (from..from + count).map(row);
    let rows = rows.map(|(name, desc)| json!({"userName": name, "desc": desc}));
    json!({"fence": fence, "from": from, "rows": rows.collect::<Vec<_>>()})
}

async fn import(app: &TestApp) -> i64 {
    let id = app.create(IMPORT).send().await.task_id();
    app.apply(id, claim_of("dev")).await;
    id
}

async fn record(app: &TestApp, id: i64, from: usize, count: usize) -> Answer {
    report(app, worker::FAILURES, id, &page(1, from, count)).await
}

async fn read(app: &TestApp, id: i64, query: &str) -> Answer {
    let target = format!("{}{query}", path(tenant::FAILURES, id));
    app.read(&target).send().await
}

async fn a_repeat_of_a_page_is_harmless_and_a_gap_is_409(store: &str) {
    let app = TestApp::start_on(store, "", Defaults::Dev).await;
    let id = import(&app).await;
    for _ in 0..2 {
        assert_eq!(record(&app, id, 0, 3).await.body["next"], 3);
    }
    // The part that is new is kept.
    assert_eq!(record(&app, id, 2, 3).await.body["next"], 5);
    let gap = record(&app, id, 6, 1).await;
    assert_eq!(gap.status, 409);
    let reason = "must be 5: rows are missing before";
    assert_eq!(
        gap.body["details"],
        json!([{"field": "from", "reason": reason}])
    );
    assert_eq!(record(&app, id, 5, 0).await.body["next"], 5);
    let kept = read(&app, id, "").await.body;
    let expected: Vec<_> = (0..5)
        .map(row)
        .map(|(name, desc)| json!({"userName": name, "desc": desc}))
        .collect();
    assert_eq!(kept["failures"], json!(expected));
    assert_eq!(kept.get("nextCursor"), None);
    app.stop().await;
}

async fn failures_are_read_page_by_page_of_one_attempt(store: &str) {
    let app = TestApp::start_on(store, "", Defaults::Dev).await;
    let id = import(&app).await;
    record(&app, id, 0, 5).await;
    let (mut names, mut query) = (Vec::new(), "?pageSize=2".to_owned());
    let last_cursor = loop {
        let page = read(&app, id, &query).await.body;
        let failures = page["failures"].as_array().unwrap();
        names.extend(failures.iter().map(|failure| failure["userName"].clone()));
        match page.get("nextCursor").and_then(Value::as_str) {
            Some(cursor) => query = format!("?pageSize=2&pageCursor={cursor}"),
            None => break query,
        }
    };
    assert_eq!(
        names,
        (0..5).map(|number| row(number).0).collect::<Vec<_>>()
    );

    for (wrong, field) in [
        ("?pageSize=0", "pageSize"),
        ("?pageSize=1001", "pageSize"),
        ("?pageCursor=x", "pageCursor"),
        ("?pageCursor=1", "pageCursor"),
        ("?pageCursor=1-%2B1", "pageCursor"),
        ("?pageCursor=1--1", "pageCursor"),
    ] {
        let answer = read(&app, id, wrong).await;
        assert_eq!(answer.status, 400, "{wrong}");
        assert_eq!(answer.body["details"][0]["field"], field, "{wrong}");
    }

    // Another attempt begins without rows, and with cursors of its own.
    report(&app, worker::FAIL, id, &json!({"fence": 1})).await;
    app.post(&path(tenant::RETRY, id)).send().await;
    app.apply(id, claim_of("dev")).await;
    assert_eq!(read(&app, id, "").await.body["failures"], json!([]));
    let stale = read(&app, id, &last_cursor).await;
    assert_eq!(
        stale.body["details"],
        json!([{
            "field": "pageCursor",
            "reason": "is of an earlier attempt: begin with the first page",
        }])
    );
    app.stop().await;
}

async fn a_transfer_has_no_failed_users(store: &str) {
    let app = TestApp::start_on(store, "", Defaults::Dev).await;
    let id = app.create(TRANSFER).send().await.task_id();
    app.apply(id, claim_of("dev")).await;
    for answer in [record(&app, id, 0, 1).await, read(&app, id, "").await] {
        assert_eq!(answer.status, 400);
        let reason = "must be the id of a batch import";
        assert_eq!(
            answer.body["details"],
            json!([{"field": "task_id", "reason": reason}])
        );
    }
    app.stop().await;
}
