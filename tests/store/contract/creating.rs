//! Creating: ids, keys, and clocks that step back.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use jiff::SignedDuration;
use kootask::task::TaskId;
use kootask::task::id::IdError;
use kootask::task::idempotency::{Idempotency, Key};
use kootask::task::repository::{Created, StoreError};
use tokio::task::JoinSet;

use super::{Backend, contract};
use crate::store::{
    MovedClock, NODE, batch_import, create, create_new, key, key_of_another_body, tenant, transfer,
};

contract! {
    every backend:
    each_id_is_above_the_one_before,
    ids_carry_the_node_and_the_time_of_the_clock,
    concurrent_creates_get_ids_of_their_own_that_grow_for_each_client,
    a_request_without_a_key_is_a_task_each_time,
    a_repeated_request_is_answered_with_its_first_task,
    a_key_with_another_body_is_a_mismatch_and_stays_what_it_was,
    concurrent_requests_of_one_key_are_one_task,
    a_key_is_forgotten_24_hours_after_its_first_use,
    a_create_that_is_dropped_leaves_its_key_usable,
    a_clock_that_stepped_back_a_little_is_waited_for,
}

contract! {
    backends with every node:
    a_clock_that_was_set_back_far_does_not_stop_creates,
    a_key_outlives_a_clock_that_jumps_ahead_and_back,
}

contract! {
    backends that share nodes:
    no_id_is_made_until_a_clock_that_stepped_back_far_has_caught_up,
}

mod two_keys {
    use super::*;

    contract! {
        every backend:
        a_signature_beside_a_key_makes_one_task,
        concurrent_requests_of_one_signature_are_one_task,
        both_keys_are_forgotten_after_24_hours,
    }

    contract! {
        durable backends:
        every_key_of_a_task_is_known_after_reopening,
    }

    /// A request with this key and signature.
    fn signed(name: &str, signature: u8) -> Idempotency {
        key(name).and_signature(&tenant(), &[signature; 32])
    }

    /// A signed request without a key.
    fn signature(signature: u8) -> Idempotency {
        Idempotency::new(&tenant(), Key::Signature(&[signature; 32]), &[1; 32])
    }

    async fn a_signature_beside_a_key_makes_one_task(backend: &impl Backend) {
        let store = backend.open(&MovedClock::new(), NODE).await;
        let create = async |idempotency| {
            let created = create(&store, transfer("source"), Some(idempotency)).await;
            created.unwrap()
        };
        let first = create_new(&store, transfer("source"), Some(signed("one", 1))).await;
        assert_eq!(create(signed("two", 1)).await, Created::Existing(first));
        // Now all of them stand for it.
        assert_eq!(create(key("one")).await, Created::Existing(first));
        assert_eq!(create(key("two")).await, Created::Existing(first));
        assert_eq!(create(signature(1)).await, Created::Existing(first));
        assert_eq!(create(signed("two", 2)).await, Created::Existing(first));
        assert_eq!(create(signature(2)).await, Created::Existing(first));
        // Of a mismatch no key stands for anything.
        let other = key_of_another_body("three").and_signature(&tenant(), &[1; 32]);
        assert_eq!(create(other).await, Created::Mismatch);
        let second = create_new(&store, transfer("source"), Some(signed("three", 3))).await;
        assert_eq!(create(signature(3)).await, Created::Existing(second));
    }

    async fn concurrent_requests_of_one_signature_are_one_task(backend: &impl Backend) {
        let store = backend.open(&MovedClock::new(), NODE).await;
        let mut clients = JoinSet::new();
        for number in 0..64 {
            let store = Arc::clone(&store);
            let request = signed(&format!("key-{number}"), 1);
            clients.spawn(async move { create(&store, transfer("source"), Some(request)).await });
        }
        let answers = clients.join_all().await;
        let new = answers
            .iter()
            .filter(|answer| matches!(answer, Ok(Created::New(_))))
            .count();
        let existing = answers
            .iter()
            .filter(|answer| matches!(answer, Ok(Created::Existing(_))))
            .count();
        assert_eq!((new, existing), (1, 63), "{answers:?}");
    }

    async fn both_keys_are_forgotten_after_24_hours(backend: &impl Backend) {
        let clock = MovedClock::new();
        // A database's clock, which no test moves, must agree.
        clock.move_by(SignedDuration::from_hours(-50));
        let store = backend.open(&clock, NODE).await;
        let first = create_new(&store, transfer("source"), Some(signed("one", 1))).await;
        let again = create(&store, transfer("source"), Some(signed("two", 1))).await;
        assert_eq!(again.unwrap(), Created::Existing(first));
        clock.pass(SignedDuration::from_hours(24) + SignedDuration::from_secs(1));
        let mut last = first;
        for request in [signed("one", 4), signed("two", 5), signature(1)] {
            let id = create_new(&store, transfer("source"), Some(request)).await;
            assert!(id > last);
            last = id;
        }
    }

    async fn every_key_of_a_task_is_known_after_reopening(backend: &impl Backend) {
        let clock = MovedClock::new();
        let store = backend.open(&clock, NODE).await;
        let first = create_new(&store, transfer("source"), Some(signed("one", 1))).await;
        create_new(&store, transfer("source"), Some(key("between"))).await;
        let again = create(&store, transfer("source"), Some(signed("two", 1))).await;
        assert_eq!(again.unwrap(), Created::Existing(first));
        store.close().await;
        let store = backend.open(&clock, NODE).await;
        for request in [key("one"), key("two"), signature(1), signed("three", 1)] {
            let again = create(&store, transfer("source"), Some(request)).await;
            assert_eq!(again.unwrap(), Created::Existing(first));
        }
    }
}

async fn each_id_is_above_the_one_before(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let mut last = None;
    for number in 0..300 {
        let task = match number % 2 {
            0 => transfer("source"),
            _ => batch_import("result"),
        };
        let id = create_new(&store, task, None).await;
        assert!(Some(id) > last);
        last = Some(id);
    }
}

async fn ids_carry_the_node_and_the_time_of_the_clock(backend: &impl Backend) {
    let clock = MovedClock::new();
    clock.move_by(SignedDuration::from_hours(1000));
    for node in [0, NODE, u16::MAX] {
        let store = backend.open(&clock, node).await;
        let before = clock.context(node).clock.now();
        let id = create_new(&store, transfer("source"), None).await;
        let after = clock.context(node).clock.now();
        assert_eq!(id.node(), node);
        assert!(
            id >= TaskId::first_at(before),
            "{id} was made before {before}"
        );
        assert!(id.created_at() <= after, "{id} was made after {after}");
        store.close().await;
    }
}

async fn concurrent_creates_get_ids_of_their_own_that_grow_for_each_client(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let mut clients = JoinSet::new();
    for _ in 0..32 {
        let store = Arc::clone(&store);
        clients.spawn(async move {
            let mut ids = Vec::new();
            for _ in 0..100 {
                ids.push(create_new(&store, transfer("source"), None).await);
            }
            ids
        });
    }
    let clients = clients.join_all().await;
    assert!(
        clients
            .iter()
            .all(|ids| ids.is_sorted_by(|one, next| one < next))
    );
    assert_eq!(
        clients.concat().into_iter().collect::<HashSet<_>>().len(),
        3_200
    );
}

async fn a_request_without_a_key_is_a_task_each_time(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let first = create_new(&store, transfer("source"), None).await;
    let second = create_new(&store, transfer("source"), None).await;
    assert_ne!(first, second);
}

async fn a_repeated_request_is_answered_with_its_first_task(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let one = create_new(&store, transfer("source"), Some(key("one"))).await;
    let other = create_new(&store, transfer("source"), Some(key("other"))).await;
    assert_ne!(one, other);
    for _ in 0..3 {
        for (name, id) in [("one", one), ("other", other)] {
            let again = create(&store, transfer("source"), Some(key(name))).await;
            assert_eq!(again.unwrap(), Created::Existing(id));
        }
    }
}

async fn a_key_with_another_body_is_a_mismatch_and_stays_what_it_was(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let first = create_new(&store, transfer("source"), Some(key("key"))).await;
    let other = create(
        &store,
        transfer("another"),
        Some(key_of_another_body("key")),
    )
    .await;
    assert_eq!(other.unwrap(), Created::Mismatch);
    let again = create(&store, transfer("source"), Some(key("key"))).await;
    assert_eq!(again.unwrap(), Created::Existing(first));
}

async fn concurrent_requests_of_one_key_are_one_task(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    for round in 0..20 {
        let mut clients = JoinSet::new();
        for _ in 0..16 {
            let store = Arc::clone(&store);
            let key = key(&format!("key-{round}"));
            clients.spawn(async move { create(&store, transfer("source"), Some(key)).await });
        }
        let answers: Vec<Created> = clients
            .join_all()
            .await
            .into_iter()
            .collect::<Result<_, _>>()
            .unwrap();
        let new: Vec<TaskId> = answers
            .iter()
            .filter_map(|answer| match answer {
                Created::New(id) => Some(*id),
                _ => None,
            })
            .collect();
        let [first] = new[..] else {
            panic!("not one task: {answers:?}");
        };
        let again = answers
            .iter()
            .filter(|answer| **answer == Created::Existing(first))
            .count();
        assert_eq!(again, 15, "{answers:?}");
    }
}

async fn a_key_is_forgotten_24_hours_after_its_first_use(backend: &impl Backend) {
    let clock = MovedClock::new();
    // A database's clock, which no test moves, must agree.
    clock.move_by(SignedDuration::from_hours(-50));
    let store = backend.open(&clock, NODE).await;
    let first = create_new(&store, transfer("source"), Some(key("key"))).await;
    let minute = SignedDuration::from_mins(1);
    clock.pass(SignedDuration::from_hours(24) - minute);
    let within = create(&store, transfer("source"), Some(key("key"))).await;
    assert_eq!(within.unwrap(), Created::Existing(first));
    // The repetition did not start the 24 hours anew.
    clock.pass(minute * 2);
    let second = create_new(&store, transfer("source"), Some(key("key"))).await;
    assert!(second > first);
    let again = create(&store, transfer("source"), Some(key("key"))).await;
    assert_eq!(again.unwrap(), Created::Existing(second));
    // An expired key may stand for another body.
    clock.pass(SignedDuration::from_hours(25));
    create_new(
        &store,
        transfer("another"),
        Some(key_of_another_body("key")),
    )
    .await;
}

async fn a_create_that_is_dropped_leaves_its_key_usable(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let mut ids = BTreeSet::new();
    for number in 0..100 {
        let key = key(&format!("key-{number}"));
        let dropped = store.create(transfer("source"), Some(key));
        tokio::select! {
            biased;
            _ = dropped => {}
            () = tokio::task::yield_now() => {}
        }
        let id = match create(&store, transfer("source"), Some(key)).await {
            Ok(Created::New(id) | Created::Existing(id)) => id,
            other => panic!("{other:?}"),
        };
        let again = create(&store, transfer("source"), Some(key)).await;
        assert_eq!(again.unwrap(), Created::Existing(id));
        ids.insert(id);
    }
    assert_eq!(ids.len(), 100);
}

async fn a_clock_that_stepped_back_a_little_is_waited_for(backend: &impl Backend) {
    let clock = MovedClock::new();
    let store = backend.open(&clock, NODE).await;
    let before = create_new(&store, transfer("source"), None).await;
    clock.move_by(SignedDuration::from_millis(-300));
    assert!(create_new(&store, transfer("source"), None).await > before);
}

async fn no_id_is_made_until_a_clock_that_stepped_back_far_has_caught_up(backend: &impl Backend) {
    let clock = MovedClock::new();
    let store = backend.open(&clock, NODE).await;
    let before = create_new(&store, transfer("source"), Some(key("before"))).await;
    clock.move_by(SignedDuration::from_hours(-1));
    for key in [None, Some(key("after"))] {
        let refused = create(&store, transfer("source"), key).await;
        assert!(
            matches!(refused, Err(StoreError::Id(IdError::ClockBehind(_)))),
            "{refused:?}"
        );
    }
    clock.move_by(SignedDuration::from_hours(1));
    assert!(create_new(&store, transfer("source"), Some(key("after"))).await > before);
    let again = create(&store, transfer("source"), Some(key("before"))).await;
    assert_eq!(again.unwrap(), Created::Existing(before));
}

async fn a_clock_that_was_set_back_far_does_not_stop_creates(backend: &impl Backend) {
    let clock = MovedClock::new();
    let store = backend.open(&clock, NODE).await;
    let before = create_new(&store, transfer("source"), Some(key("before"))).await;
    let mut last = before;
    for back in [
        SignedDuration::from_mins(1),
        SignedDuration::from_hours(24 * 1000),
    ] {
        clock.move_by(-back);
        let again = create(&store, transfer("source"), Some(key("before"))).await;
        assert_eq!(again.unwrap(), Created::Existing(before));
        let now = clock.context(NODE).clock.now();
        let (first, second) = (
            create_new(&store, transfer("source"), None).await,
            create_new(&store, transfer("source"), None).await,
        );
        assert!(first.node() != last.node() && first < last);
        assert_eq!(first.node(), second.node());
        assert!(first < second);
        let made = first.created_at().duration_since(now);
        assert!(
            made.abs() < SignedDuration::from_secs(30),
            "{made} off the clock"
        );
        last = second;
    }
}

async fn a_key_outlives_a_clock_that_jumps_ahead_and_back(backend: &impl Backend) {
    let clock = MovedClock::new();
    let store = backend.open(&clock, NODE).await;
    let first = create_new(&store, transfer("source"), Some(key("key"))).await;
    for hours in [25, 24 * 365] {
        clock.move_by(SignedDuration::from_hours(hours));
        for number in 0..10 {
            let ahead = key(&format!("ahead-{hours}-{number}"));
            create_new(&store, transfer("source"), Some(ahead)).await;
        }
        for back in [0, hours] {
            clock.move_by(SignedDuration::from_hours(-back));
            let again = create(&store, transfer("source"), Some(key("key"))).await;
            assert_eq!(again.unwrap(), Created::Existing(first));
        }
    }
}
