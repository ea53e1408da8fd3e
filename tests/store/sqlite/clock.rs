//! Wall clocks step back: also between the forgetting of a key and its return.

use jiff::SignedDuration;
use kootask::task::repository::Created;

use kootask::task::id::TaskId;

use super::super::{NODE, create, create_new, key, transfer};
use super::{Place, look_into, value};
use crate::support::until;

#[tokio::test]
async fn a_key_that_was_forgotten_before_the_clock_stepped_back_is_new_again() {
    let place = Place::new();
    let store = place.open().await;
    create_new(&store, transfer("source"), Some(key("key"))).await;
    place.clock.pass(SignedDuration::from_mins(24 * 60 + 10));
    // An idle writer forgets it: no later id keeps the clock from stepping back.
    let connection = look_into(&place.path());
    until("the key to be deleted", async || {
        value::<i64>(&connection, "SELECT count(*) FROM idempotency") == 0
    })
    .await;
    place.clock.move_by(SignedDuration::from_mins(-20));
    let again = create(&store, transfer("source"), Some(key("key"))).await;
    assert!(matches!(again, Ok(Created::New(_))), "{again:?}");
}

#[tokio::test]
async fn a_clock_that_is_wrong_only_during_a_start_forgets_no_key() {
    let place = Place::new();
    let store = place.open().await;
    let first = create_new(&store, transfer("source"), Some(key("key"))).await;
    store.close().await;
    let ahead = SignedDuration::from_hours(25);
    place.clock.move_by(ahead);
    let store = place.open().await;
    // Whoever forgets keys does so with a commit.
    create_new(&store, transfer("source"), None).await;
    place.clock.move_by(-ahead);
    for _ in 0..2 {
        let again = create(&store, transfer("source"), Some(key("key"))).await;
        assert_eq!(again.unwrap(), Created::Existing(first));
    }
    store.close().await;
    let store = place.open().await;
    let again = create(&store, transfer("source"), Some(key("key"))).await;
    assert_eq!(again.unwrap(), Created::Existing(first));
}

#[tokio::test]
async fn a_task_of_the_future_stops_no_creates_also_after_restarts() {
    let place = Place::new();
    let ten_years = SignedDuration::from_hours(24 * 3650);
    place.clock.move_by(ten_years);
    let store = place.open().await;
    let future = create_new(&store, transfer("future"), None).await;
    store.close().await;
    place.clock.move_by(-ten_years);
    let mut last: Option<TaskId> = None;
    for _ in 0..3 {
        let store = place.open().await;
        let id = create_new(&store, transfer("source"), None).await;
        // The same other node each time, with ids that increase.
        assert_eq!(id.node(), NODE + 1);
        assert!(last < Some(id) && id < future);
        last = Some(id);
        store.close().await;
    }
    // The first node comes back when its time has come.
    place.clock.pass(ten_years + SignedDuration::from_mins(1));
    let store = place.open().await;
    let id = create_new(&store, transfer("source"), None).await;
    assert!(id.node() == NODE && id > future);
    store.close().await;
}
