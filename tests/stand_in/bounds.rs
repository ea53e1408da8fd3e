//! What is kept is bounded, however much comes.

use super::{stand_in, status};
use crate::support::TestApp;
use crate::support::client::TRANSFER;

/// How many entries of the journal and how many tasks there are.
async fn counts(app: &TestApp) -> (usize, usize) {
    let journal = app.control("GET", "journal", "").await.body;
    let state = app.control("GET", "state", "").await.body;
    let count = |list: &serde_json::Value| list.as_array().unwrap().len();
    (count(&journal["entries"]), count(&state["tasks"]))
}

#[tokio::test]
async fn however_many_requests_come_no_more_is_kept_than_was_said() {
    let app = stand_in("progress = 'immediate'\nmax_tasks = 10\njournal = 20").await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let create = async |key: usize| {
        let create = app.create(TRANSFER);
        let create = create.header("Idempotency-Key", &format!("key-{key}"));
        let answer = create.send_by(&client).await.unwrap();
        answer.headers().contains_key("Idempotency-Replayed")
    };
    for key in 0..200 {
        assert!(!create(key).await);
        // What is kept is known again, and what is gone is not.
        assert!(create(key).await);
        if key % 50 == 49 {
            assert_eq!(counts(&app).await, (20, 10));
        }
    }
    for key in 190..200 {
        assert!(create(key).await, "{key} went before its task");
    }
    for key in 180..190 {
        assert!(!create(key).await, "{key} outlived its task");
    }
}

#[tokio::test]
async fn the_journal_takes_no_more_than_16_mib_however_large_its_entries_are() {
    let app = stand_in("progress = 'manual'\n[server]\nbody_limit = '64KiB'").await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = format!(r#"{{"srcUserId":"{}"}}"#, "1".repeat(60_000));
    for _ in 0..300 {
        app.create(&body).send_by(&client).await.unwrap();
    }
    let journal = app.control("GET", "journal", "").await.body;
    let entries = journal["entries"].as_array().unwrap().len();
    assert_eq!(journal["dropped"], 300 - entries);
    assert!((1..280).contains(&entries), "{entries} of 60 KB each");
}

#[tokio::test]
async fn of_too_many_tasks_ended_ones_go_first_with_their_keys() {
    let app = stand_in("progress = 'manual'\nmax_tasks = 3").await;
    let create = |key: &str| app.create(TRANSFER).header("Idempotency-Key", key);
    let mut ids = Vec::new();
    for key in ["a", "b", "c"] {
        ids.push(create(key).send().await.task_id());
    }
    let step = format!("tasks/{}/step", ids[1]);
    app.control("POST", &step, r#"{"to":"SUCCESS"}"#).await;
    ids.push(create("d").send().await.task_id());
    let gone = app
        .read(&format!("/koodrive/ose/v1/task/{}", ids[1]))
        .send()
        .await;
    assert_eq!(gone.status, 404, "the one that had ended");
    assert_eq!(status(&app, ids[0]).await, 0);
    let again = create("b").send().await;
    assert_ne!(again.task_id(), ids[1], "its key went with it");
    let oldest = app
        .read(&format!("/koodrive/ose/v1/task/{}", ids[0]))
        .send()
        .await;
    assert_eq!(oldest.status, 404, "the oldest, where none has ended");
    assert_eq!(create("c").send().await.task_id(), ids[2]);
}
