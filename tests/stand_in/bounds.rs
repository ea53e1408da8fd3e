//! What is kept is bounded, however much comes.

use super::{stand_in, status};
use crate::support::client::TRANSFER;

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
