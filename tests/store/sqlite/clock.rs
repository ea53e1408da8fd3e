//! Wall clocks step back: also between the forgetting of a key and its return.

use jiff::SignedDuration;
use kootask::task::repository::Created;

use super::super::{create, create_new, key, transfer};
use super::{Place, look_into, value};
use crate::support::until;

#[tokio::test]
async fn a_key_that_was_forgotten_before_the_clock_stepped_back_is_new_again() {
    let place = Place::new();
    let store = place.open().await;
    create_new(&store, transfer("source"), Some(key("key"))).await;
    place.clock.move_by(SignedDuration::from_mins(24 * 60 + 10));
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
