//! More creates are asked than the database takes.

use std::sync::Arc;
use std::time::Duration;

use kootask::task::TaskStatus;
use kootask::task::life_cycle::Command;
use kootask::task::repository::StoreError;
use tokio::task::JoinSet;

use super::super::work::{actor, claim, complete, request};
use super::super::{apply, create_new, transfer};
use super::Place;
use crate::support::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_full_of_creates_still_takes_ends_and_cancels() {
    let place = Place::new();
    let store = place.open(None).await;
    create_new(&store, transfer("source"), None).await;
    let held = claim(&store, request(1)).await.remove(0);
    let fresh = create_new(&store, transfer("source"), None).await;
    // Creates alone need it.
    let lock = place.database.lock("idempotency");
    let mut clients = JoinSet::new();
    for _ in 0..10_000 {
        let store = Arc::clone(&store);
        clients.spawn(async move { store.create(transfer("source"), None).await });
    }
    until("the queue to be full", async || {
        let full = store.create(transfer("source"), None);
        let full = tokio::time::timeout(Duration::from_millis(10), full).await;
        matches!(full, Ok(Err(StoreError::Overloaded)))
    })
    .await;
    let ended = apply(&store, held.id, complete(&held)).await.unwrap();
    assert_eq!(ended.status, TaskStatus::Success);
    let cancelled = apply(&store, fresh, Command::Cancel(actor())).await;
    assert_eq!(cancelled.unwrap().status, TaskStatus::Failed);
    drop(lock);
    store.close().await;
}
