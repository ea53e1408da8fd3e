//! A hundred thousand failed users, read in pages and as a file.

use std::fmt::Write;

use jiff::Timestamp;
use kootask::{tenant, worker};
use serde_json::{Value, json};
use uuid::Uuid;

use super::import::{page, row};
use super::path;
use crate::support::client::{Call, IMPORT, USER};
use crate::support::process::TestProcess;

const ROWS: usize = 100_000;
const PAGE: usize = 1000;

/// The file of a task's failures, in this language.
async fn file(process: &TestProcess, id: i64, language: &str) -> String {
    let url = format!("http://{}{}", process.address, path(tenant::FAILURES, id));
    let answer = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .get(url)
        .header("X-User-Id", USER)
        .header("X-Date", kootask::auth::x_date::format(Timestamp::now()))
        .header("Accept", "text/csv")
        .header("language", language)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(
        header("Content-Type"),
        "text/csv; charset=utf-8; header=present"
    );
    let name = format!("attachment; filename=\"task-{id}-failures.csv\"");
    assert_eq!(header("Content-Disposition"), name);
    answer.text().await.unwrap()
}

#[tokio::test]
async fn a_hundred_thousand_failed_users_are_written_and_read_with_flat_memory() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite://{}", folder.path().join("tasks.db").display());
    let process = TestProcess::dev(&store);
    let id = process.create(IMPORT).send().await.task_id();
    let post = async |target: String, body: Value| {
        let call = Call::new(process.address, "POST", &target);
        let call = call.header("Content-Type", "application/json");
        let answer = call.body(body.to_string()).send().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    };
    let claim = json!({"worker": "w1", "claimId": Uuid::new_v4().to_string(), "leaseSeconds": 600});
    let claimed = post(worker::CLAIM.to_owned(), claim).await;
    assert_eq!(claimed["tasks"][0]["taskId"], id.to_string());

    let mut after_some = 0;
    for from in (0..ROWS).step_by(PAGE) {
        let next = post(path(worker::FAILURES, id), page(1, from, PAGE)).await["next"].clone();
        assert_eq!(next, from + PAGE);
        if from == 20 * PAGE {
            after_some = process.resident_kib();
        }
    }
    let mut expected = String::new();
    for (name, desc) in (0..ROWS).map(row) {
        write!(expected, "{name},'{desc}\r\n").unwrap();
    }
    for (language, header) in [
        ("en-US", "User name,Reason\r\n"),
        ("zh-CN", "用户名,原因\r\n"),
    ] {
        let file = file(&process, id, language).await;
        let rows = file.strip_prefix(header).expect("the header");
        assert!(rows == expected, "{language}: {} bytes", rows.len());
    }
    let (mut read, mut query) = (0, String::new());
    loop {
        let target = format!("{}{query}", path(tenant::FAILURES, id));
        let call = Call::new(process.address, "GET", &target).header("X-User-Id", USER);
        let page = call.at(Timestamp::now()).send().await.body;
        read += page["failures"].as_array().unwrap().len();
        match page["nextCursor"].as_str() {
            Some(cursor) => query = format!("?pageCursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(read, ROWS);
    // All rows are 3 MB as text; what is held of them is a page.
    let grown = process.resident_kib().saturating_sub(after_some);
    assert!(grown < 16 * 1024, "{grown} KiB more than after some pages");
}
