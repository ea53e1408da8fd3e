//! A store that has lost its node, in whatever way, makes no id twice.

use std::collections::HashSet;
use std::sync::Arc;

use kootask::task::TaskId;
use kootask::task::repository::{StoreError, TaskRepository};

use super::super::{create, create_new, transfer};
use super::Place;
use crate::support::until;

impl Place {
    /// Has a node taken by another instance.
    fn take_away(&self, node: u16) {
        self.database.sql(&format!(
            "UPDATE node_lease SET holder = gen_random_uuid(), ids_from = ids_below,
                 expires_at = now() + interval '1 hour' WHERE node = {node}"
        ));
    }
}

/// Creates until an id is as wanted; all ids, that one the last.
async fn ids_until(
    store: &Arc<dyn TaskRepository>,
    what: &str,
    mut is_wanted: impl FnMut(TaskId) -> bool,
) -> Vec<TaskId> {
    let mut ids = Vec::new();
    until(what, async || {
        let id = create_new(store, transfer("source"), None).await;
        ids.push(id);
        is_wanted(id)
    })
    .await;
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_whose_node_was_taken_goes_on_with_another() {
    let place = Place::new();
    let store = place.open(None).await;
    let lost = create_new(&store, transfer("source"), None).await.node();
    place.take_away(lost);
    // Until it notices, its ids are of the range that was reserved for it.
    let before = ids_until(&store, "another node", |id| id.node() != lost).await;
    let reserved = format!("SELECT ids_from FROM node_lease WHERE node = {lost}");
    let reserved = place.number(&reserved);
    let (other, before) = before.split_last().unwrap();
    assert!(before.iter().all(|id| id.get() < reserved), "{reserved}");

    let mut after = vec![*other];
    for _ in 0..100 {
        after.push(create_new(&store, transfer("source"), None).await);
    }
    assert!(after.iter().all(|id| id.node() == other.node()));
    assert!(after.is_sorted_by(|a, b| a < b), "{after:?}");
    // It keeps what it has.
    let held = format!(
        "SELECT count(*) FROM node_lease WHERE node = {} AND expires_at > now()",
        other.node()
    );
    assert_eq!(place.number(&held), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_whose_one_node_was_taken_makes_no_id_until_it_is_free() {
    let place = Place::new();
    let store = place.open(Some(7)).await;
    let last = create_new(&store, transfer("source"), None).await;
    place.take_away(7);
    let mut refused = None;
    let mut ids = vec![last];
    until("a refusal", async || {
        match create(&store, transfer("source"), None).await {
            Ok(kootask::task::repository::Created::New(id)) => ids.push(id),
            other => refused = Some(other),
        }
        refused.is_some()
    })
    .await;
    match refused {
        Some(Err(StoreError::Failed(error))) => assert!(
            error
                .to_string()
                .contains("node 7 is held by another instance"),
            "{error}"
        ),
        other => panic!("{other:?}"),
    }
    place
        .database
        .sql("UPDATE node_lease SET expires_at = now()");
    until("an id", async || {
        match create(&store, transfer("source"), None).await {
            Ok(kootask::task::repository::Created::New(id)) => ids.push(id),
            _ => return false,
        }
        true
    })
    .await;
    assert!(ids.iter().all(|id| id.node() == 7), "{ids:?}");
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
}

/// Somebody tidies up, or restores a backup without the leases.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_was_deleted_makes_no_id_twice() {
    for node in [Some(7), None] {
        let place = Place::new();
        let store = place.open(node).await;
        let mut ids = vec![create_new(&store, transfer("source"), None).await];
        place.database.sql("DELETE FROM node_lease");
        let is_held = || place.number("SELECT count(*) FROM node_lease") == 1;
        ids.extend(ids_until(&store, "a lease", |_| is_held()).await);
        for _ in 0..100 {
            ids.push(create_new(&store, transfer("source"), None).await);
        }
        let distinct: HashSet<TaskId> = ids.iter().copied().collect();
        assert_eq!(distinct.len(), ids.len());
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
        let tasks = place.number("SELECT count(*) FROM task");
        assert_eq!(usize::try_from(tasks), Ok(ids.len()));
    }
}

/// As after a restore: what was made before is known by the tasks alone.
#[tokio::test]
async fn a_node_without_a_lease_begins_above_its_tasks() {
    let place = Place::new();
    let store = place.open(Some(7)).await;
    let ahead = jiff::SignedDuration::from_millis(800);
    place.clock.move_by(ahead);
    let last = create_new(&store, transfer("source"), None).await;
    store.close().await;
    place.clock.move_by(-ahead);
    place.database.sql("DELETE FROM node_lease");
    let store = place.open(Some(7)).await;
    assert!(create_new(&store, transfer("source"), None).await > last);
}
