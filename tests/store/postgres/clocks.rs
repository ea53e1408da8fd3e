//! Clocks of instances that are wrong.

use jiff::SignedDuration;
use kootask::task::repository::Created;

use super::super::{MovedClock, create, create_new, key, transfer};
use super::{Place, open};

#[tokio::test]
async fn a_clock_that_is_ahead_makes_no_second_task_of_a_key_that_has_not_expired() {
    let place = Place::new();
    let old = SignedDuration::from_mins(24 * 60 - 10);
    place.clock.move_by(-old);
    let store = place.open(Some(1)).await;
    let first = create_new(&store, transfer("source"), Some(key("key"))).await;
    store.close().await;

    let ahead = MovedClock::new();
    ahead.move_by(SignedDuration::from_mins(14));
    let ahead = open(&place.url(), ahead.context(2)).await.unwrap();
    let again = create(&ahead, transfer("source"), Some(key("key"))).await;
    assert_eq!(again.unwrap(), Created::Existing(first));
}

/// The other node is the price: its ids are below those that were made ahead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_corrected_goes_on_with_another_node_at_once() {
    let place = Place::new();
    let ahead = SignedDuration::from_secs(120);
    place.clock.move_by(ahead);
    let store = place.open(None).await;
    let before = create_new(&store, transfer("source"), Some(key("key"))).await;
    place.clock.move_by(-ahead);
    let after = create_new(&store, transfer("source"), None).await;
    assert_ne!(after.node(), before.node());
    let again = create(&store, transfer("source"), Some(key("key"))).await;
    assert_eq!(again.unwrap(), Created::Existing(before));
    // The first node is given back, for whoever is as far.
    let held = "SELECT node FROM node_lease WHERE expires_at > now()";
    assert_eq!(place.number(held), i64::from(after.node()));
    let next = "SELECT ids_below FROM node_lease WHERE expires_at <= now()";
    assert!(place.number(next) > before.get());
}
