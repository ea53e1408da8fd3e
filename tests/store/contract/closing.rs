//! Closing and opening again.

use std::sync::Arc;

use jiff::SignedDuration;
use kootask::task::TaskId;
use kootask::task::repository::{Created, StoreError, TaskRepository};
use tokio::task::JoinSet;

use super::{Backend, contract};
use crate::store::{MovedClock, NODE, create, create_new, key, key_of_another_body, transfer};

contract! {
    every backend:
    a_closed_store_says_so,
    closing_answers_everything_that_was_asked,
}

contract! {
    durable backends:
    ids_are_above_all_ids_before_after_reopening,
    keys_and_mismatches_are_known_after_reopening,
    what_was_answered_while_closing_is_there_after_reopening,
}

async fn a_closed_store_says_so(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    create_new(&store, transfer("source"), Some(key("key"))).await;
    store.close().await;
    for key in [None, Some(key("key")), Some(key("another"))] {
        let refused = create(&store, transfer("source"), key).await;
        assert!(matches!(refused, Err(StoreError::Closed)), "{refused:?}");
    }
    store.close().await;
}

async fn closing_answers_everything_that_was_asked(backend: &impl Backend) {
    close_under_load(&backend.open(&MovedClock::new(), NODE).await).await;
}

/// Closes the store while 500 creates are under way; the numbers of those that
/// were kept.
async fn close_under_load(store: &Arc<dyn TaskRepository>) -> Vec<(usize, TaskId)> {
    let mut clients = JoinSet::new();
    for number in 0..500 {
        let store = Arc::clone(store);
        clients.spawn(async move {
            let key = key(&format!("key-{number}"));
            match create(&store, transfer("source"), Some(key)).await {
                Ok(Created::New(id)) => Some((number, id)),
                Err(StoreError::Closed) => None,
                other => panic!("{other:?}"),
            }
        });
    }
    // Some are through, most are not.
    let mut kept = vec![clients.join_next().await.unwrap().unwrap()];
    store.close().await;
    kept.extend(clients.join_all().await);
    kept.into_iter().flatten().collect()
}

async fn ids_are_above_all_ids_before_after_reopening(backend: &impl Backend) {
    let clock = MovedClock::new();
    let mut last = None;
    // A smaller node number makes smaller ids within a millisecond.
    for node in [u16::MAX, NODE, 0, 1, 0] {
        let store = backend.open(&clock, node).await;
        for _ in 0..3 {
            let id = create_new(&store, transfer("source"), None).await;
            assert!(Some(id) > last, "{id} after {last:?}");
            last = Some(id);
        }
        store.close().await;
    }
}

async fn keys_and_mismatches_are_known_after_reopening(backend: &impl Backend) {
    let clock = MovedClock::new();
    // A database's clock, which no test moves, must agree.
    clock.move_by(SignedDuration::from_hours(-24));
    let store = backend.open(&clock, NODE).await;
    let first = create_new(&store, transfer("source"), Some(key("key"))).await;
    store.close().await;

    let store = backend.open(&clock, NODE).await;
    let again = create(&store, transfer("source"), Some(key("key"))).await;
    assert_eq!(again.unwrap(), Created::Existing(first));
    let other = create(
        &store,
        transfer("another"),
        Some(key_of_another_body("key")),
    )
    .await;
    assert_eq!(other.unwrap(), Created::Mismatch);
    store.close().await;

    let store = backend.open(&clock, NODE).await;
    clock.pass(SignedDuration::from_mins(24 * 60 + 2));
    assert!(create_new(&store, transfer("source"), Some(key("key"))).await > first);
}

async fn what_was_answered_while_closing_is_there_after_reopening(backend: &impl Backend) {
    let clock = MovedClock::new();
    let kept = close_under_load(&backend.open(&clock, NODE).await).await;
    assert!(!kept.is_empty());
    let store = backend.open(&clock, NODE).await;
    for (number, id) in kept {
        let key = key(&format!("key-{number}"));
        let again = create(&store, transfer("source"), Some(key)).await;
        assert_eq!(again.unwrap(), Created::Existing(id));
    }
}
