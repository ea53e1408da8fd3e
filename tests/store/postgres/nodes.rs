//! Which node a store makes ids for.

use std::sync::Arc;

use jiff::SignedDuration;
use kootask::store::postgres::OpenError;
use kootask::task::TaskId;
use kootask::task::clock::Clock;
use kootask::task::id::IdError;
use kootask::task::repository::{StoreError, TaskRepository};

use super::super::{create, create_new, transfer};
use super::{Place, refused};
use crate::support::until;

async fn new_id(store: &Arc<dyn TaskRepository>) -> TaskId {
    create_new(store, transfer("source"), None).await
}

impl Place {
    /// Has every node held by others.
    fn hold_every_node(&self) {
        self.database.sql(
            "INSERT INTO node_lease (node, holder, expires_at, ids_from, ids_below)
             SELECT node, gen_random_uuid(), now() + interval '1 hour', 0, 0
             FROM generate_series(0, 65535) AS every (node)",
        );
    }

    /// Ends the lease of this node, whose next id is this far ahead of the clock.
    fn free_node(&self, node: u16, ahead: SignedDuration) {
        let ids_below = TaskId::first_at(self.clock.now() + ahead);
        self.database.sql(&format!(
            "UPDATE node_lease SET expires_at = now(), ids_below = {ids_below} WHERE node = {node}"
        ));
    }
}

#[tokio::test]
async fn two_open_stores_have_different_nodes() {
    let place = Place::new();
    let (one, other) = (place.open(None).await, place.open(None).await);
    let (one, other) = (new_id(&one).await, new_id(&other).await);
    assert_ne!(one.node(), other.node());
    let held = "SELECT count(*) FROM node_lease WHERE expires_at > now()";
    assert_eq!(place.number(held), 2);
}

#[tokio::test]
async fn a_closed_stores_node_is_the_next_ones_at_once() {
    let place = Place::new();
    let mut ids = Vec::new();
    for _ in 0..3 {
        // Any node will do: there are no more of them than stores at a time.
        let store = place.open(None).await;
        ids.push(new_id(&store).await);
        ids.push(new_id(&store).await);
        store.close().await;
    }
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    assert_eq!(place.number("SELECT count(*) FROM node_lease"), 1);
}

/// A certain node is waited for as long as a lease lasts that nobody renews.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_a_store_holds_is_refused_to_another_until_it_is_closed() {
    let place = Place::new();
    let first = place.open(Some(7)).await;
    let last = new_id(&first).await;
    let refused = refused(&place.url(), place.context(Some(7))).await;
    assert!(matches!(refused, OpenError::Unusable { .. }), "{refused}");
    let said = refused.to_string();
    assert!(
        said.contains("node 7 is held by another instance"),
        "{said}"
    );
    let last = new_id(&first).await.max(last);
    first.close().await;
    let second = place.open(Some(7)).await;
    let id = new_id(&second).await;
    assert_eq!(id.node(), 7);
    assert!(id > last);
}

#[tokio::test]
async fn a_node_whose_instance_is_gone_is_free_when_its_lease_is_over() {
    let place = Place::migrated().await;
    place.hold_every_node();
    let end = async {
        until("an attempt in vain", async || {
            place.number(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                     AND query LIKE 'INSERT INTO node_lease%' AND state = 'idle'",
            ) == 1
        })
        .await;
        place.free_node(7, SignedDuration::ZERO);
    };
    let (store, ()) = tokio::join!(place.open(Some(7)), end);
    assert_eq!(new_id(&store).await.node(), 7);
}

#[tokio::test]
async fn the_one_node_that_is_free_is_found_and_without_any_it_is_refused() {
    let place = Place::migrated().await;
    place.hold_every_node();
    let refused = refused(&place.url(), place.context(None)).await;
    assert!(matches!(refused, OpenError::Unusable { .. }), "{refused}");
    let said = refused.to_string();
    assert!(said.contains("65,536 nodes"), "{said}");

    place.free_node(4242, SignedDuration::ZERO);
    let store = place.open(None).await;
    assert_eq!(new_id(&store).await.node(), 4242);
}

/// Where another's clock is or was far ahead, its ids are.
#[tokio::test]
async fn a_free_node_whose_ids_are_far_ahead_is_passed_over() {
    let place = Place::migrated().await;
    place.hold_every_node();
    let hour = SignedDuration::from_hours(1);
    place.free_node(10, hour);
    let said = refused(&place.url(), place.context(None)).await.to_string();
    assert!(said.contains("ahead"), "{said}");
    place.free_node(11, SignedDuration::ZERO);
    let store = place.open(None).await;
    assert_eq!(new_id(&store).await.node(), 11);

    // The node that is asked for is taken, but waits for its ids.
    let store = place.open(Some(10)).await;
    let none = create(&store, transfer("source"), None).await;
    assert!(
        matches!(none, Err(StoreError::Id(IdError::ClockBehind(_)))),
        "{none:?}"
    );
    place.clock.move_by(hour);
    // The lease is now for ids of that time.
    let id = new_id(&store).await;
    assert_eq!(id.node(), 10);
}
