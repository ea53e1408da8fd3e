//! Idempotency keys are forgotten when they have expired, whoever made them: by
//! the clock of the instance and by the database's, which these tests leave alone.
//! So keys are made in the past.

use jiff::SignedDuration;
use kootask::task::repository::Created;

use super::super::{MovedClock, create, create_new, key, transfer};
use super::{Place, open};
use crate::support::until;

const KEYS: &str = "SELECT count(*) FROM idempotency";

/// Longer ago than a key stands, and the margin after that.
fn long_ago() -> SignedDuration {
    SignedDuration::from_mins(24 * 60 + 10)
}

#[tokio::test]
async fn expired_keys_of_every_instance_are_deleted_and_no_others() {
    let place = Place::new();
    place.clock.move_by(-long_ago());
    // Of an instance that is gone, of another that is there, and of this one.
    let gone = place.open(Some(1)).await;
    create_new(&gone, transfer("source"), Some(key("gone"))).await;
    gone.close().await;
    let other = place.open(Some(2)).await;
    create_new(&other, transfer("source"), Some(key("other"))).await;
    let store = place.open(Some(3)).await;
    create_new(&store, transfer("source"), Some(key("own"))).await;

    let later = SignedDuration::from_mins(20);
    place.clock.move_by(later);
    let kept = create_new(&store, transfer("source"), Some(key("kept"))).await;
    assert_eq!(place.number(KEYS), 4);
    place.clock.move_by(long_ago() - later);
    until("three keys to be deleted", async || place.number(KEYS) == 1).await;
    for store in [&other, &store] {
        let again = create(store, transfer("source"), Some(key("kept"))).await;
        assert_eq!(again.unwrap(), Created::Existing(kept));
    }
    assert_eq!(place.number("SELECT count(*) FROM task"), 4);
}

/// A backlog is deleted at once, in many statements.
#[tokio::test]
async fn more_keys_than_a_statement_deletes_are_deleted_too() {
    let place = Place::migrated().await;
    place.clock.move_by(-long_ago());
    let store = place.open(Some(1)).await;
    let old = create_new(&store, transfer("source"), Some(key("key"))).await;
    store.close().await;
    place.database.sql(&format!(
        "INSERT INTO idempotency
         SELECT sha256(n::text::bytea), '\\x00', 1, {old} - n FROM generate_series(1, 2500) AS n"
    ));
    place.clock.move_by(long_ago());
    let _store = place.open(Some(1)).await;
    until("every key to be deleted", async || place.number(KEYS) == 0).await;
}

/// A snapshot that somebody keeps open keeps all that is deleted: what was read once
/// is not read again and again.
#[tokio::test]
async fn under_an_open_snapshot_each_key_is_read_a_few_times_and_no_more() {
    const KEYS_OF_OLD: i64 = 20_000;
    let place = Place::migrated().await;
    place.clock.move_by(-long_ago());
    let store = place.open(Some(1)).await;
    let old = create_new(&store, transfer("source"), Some(key("key"))).await;
    store.close().await;
    place.database.sql(&format!(
        "INSERT INTO idempotency
         SELECT sha256(n::text::bytea), '\\x00', 1, {old} - n
         FROM generate_series(1, {KEYS_OF_OLD}) AS n"
    ));
    let snapshot = place
        .database
        .hold("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; DO 'BEGIN PERFORM 1; END'");
    let read = || {
        place.number(
            "SELECT idx_tup_read FROM pg_stat_user_indexes
             WHERE indexrelname = 'idempotency_by_task'",
        )
    };
    let before = read();
    place.clock.move_by(long_ago());
    let store = place.open(Some(1)).await;
    until("every key to be deleted", async || place.number(KEYS) == 0).await;
    // Its sessions tell what they did when they end.
    store.close().await;
    until("the statistics", async || read() - before >= KEYS_OF_OLD).await;
    drop(snapshot);
    let read = read() - before;
    assert!(read < 3 * KEYS_OF_OLD, "{read} for {KEYS_OF_OLD}");
}

/// Else a retry on another instance would be a second task.
#[tokio::test]
async fn an_instance_whose_clock_is_a_day_ahead_leaves_the_others_their_keys() {
    let place = Place::new();
    place.clock.move_by(-long_ago());
    let store = place.open(Some(1)).await;
    create_new(&store, transfer("source"), Some(key("old"))).await;
    place.clock.move_by(long_ago());
    let first = create_new(&store, transfer("source"), Some(key("key"))).await;

    let clock = MovedClock::new();
    clock.move_by(SignedDuration::from_hours(25));
    let ahead = open(&place.url(), clock.context(2)).await.unwrap();
    // It does what there is to do, and leaves the rest.
    until("the old key to be deleted", async || {
        place.number(KEYS) == 1
    })
    .await;
    let again = create(&store, transfer("source"), Some(key("key"))).await;
    assert_eq!(again.unwrap(), Created::Existing(first));
    ahead.close().await;
}

#[tokio::test]
async fn a_key_that_was_forgotten_before_the_clock_stepped_back_is_new_again() {
    let place = Place::new();
    place.clock.move_by(-long_ago());
    let store = place.open(Some(1)).await;
    create_new(&store, transfer("source"), Some(key("key"))).await;
    place.clock.move_by(long_ago());
    until("the key to be deleted", async || place.number(KEYS) == 0).await;
    place.clock.move_by(SignedDuration::from_mins(-20));
    let again = create(&store, transfer("source"), Some(key("key"))).await;
    assert!(matches!(again, Ok(Created::New(_))), "{again:?}");
}
