//! What a store tells of the work that it has, without being asked to do any.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use kootask::task::TaskType;
use kootask::task::claim::ClaimRequest;
use kootask::task::health::Due;
use kootask::task::repository::TaskRepository;
use kootask::task::scope::Scope;

use super::{Backend, contract};
use crate::store::work::{claim, complete, fail, many, of, request, waiting};
use crate::store::{MovedClock, NODE, apply, batch_import, create_new, transfer};
use crate::support::until;

contract! {
    every backend:
    work_is_told_by_its_type,
}

contract! {
    backends whose time is the tests:
    a_retry_waits_from_when_it_is_due_though_nobody_wants_it,
}

contract! {
    durable backends:
    what_waits_and_is_held_is_told_after_a_start,
}

contract! {
    durable backends of one process:
    the_oldest_of_many_tenants_is_told_after_a_start,
}

/// What is told of transfers and of imports, if anything is yet.
fn told(store: &Arc<dyn TaskRepository>) -> Option<[Due; 2]> {
    let due: [Due; 2] = store.load().due.try_into().ok()?;
    assert_eq!(due.map(|due| due.task_type), TaskType::ALL);
    Some(due)
}

async fn until_told(
    store: &Arc<dyn TaskRepository>,
    what: &str,
    is_so: impl Fn(&[Due; 2]) -> bool,
) -> [Due; 2] {
    until(what, async || told(store).is_some_and(|due| is_so(&due))).await;
    told(store).unwrap()
}

/// A claim that waits, in a task of its own.
fn wait_for_work(store: &Arc<dyn TaskRepository>, request: ClaimRequest) {
    let store = Arc::clone(store);
    tokio::spawn(async move { store.claim(request).await });
}

async fn work_is_told_by_its_type(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let [_, imports] = until_told(&store, "nothing to do", |_| true).await;
    let nothing = Due {
        oldest_age: Duration::ZERO,
        leases: 0,
        claims_waiting: 0,
        ..imports
    };
    assert_eq!(imports, nothing);
    let id = create_new(&store, transfer("source"), None).await;
    let waits = |due: &[Due; 2]| due[0].oldest_age > Duration::ZERO;
    let [first, _] = until_told(&store, "a task that waits", waits).await;
    create_new(&store, transfer("source"), None).await;
    let grows = |due: &[Due; 2]| due[0].oldest_age > first.oldest_age;
    let [_, imports] = until_told(&store, "an age that grows", grows).await;
    assert_eq!(imports, nothing);

    let held = claim(&store, many(1, 3)).await;
    assert_eq!((held.len(), held[0].id), (2, id));
    let [_, imports] = until_told(&store, "leases alone", |due| {
        (due[0].leases, due[0].oldest_age) == (2, Duration::ZERO)
    })
    .await;
    assert_eq!(imports, nothing);

    let of_imports = Scope {
        task_types: [TaskType::BatchImport].into(),
        ..Scope::everything()
    };
    let wanted = ClaimRequest {
        scope: of_imports,
        ..waiting(2)
    };
    wait_for_work(&store, wanted);
    let waits = |transfers: usize, imports: usize| {
        move |due: &[Due; 2]| due.map(|due| due.claims_waiting) == [transfers, imports]
    };
    until_told(&store, "one who waits", waits(0, 1)).await;
    wait_for_work(&store, waiting(3));
    until_told(&store, "two who wait", waits(1, 2)).await;
    create_new(&store, batch_import("result"), None).await;
    until_told(&store, "one who waits on", waits(1, 1)).await;

    for task in &held {
        apply(&store, task.id, complete(task)).await.unwrap();
    }
    let leases = |due: &[Due; 2]| due.map(|due| due.leases) == [0, 1];
    until_told(&store, "the import alone is held", leases).await;
}

async fn a_retry_waits_from_when_it_is_due_though_nobody_wants_it(backend: &impl Backend) {
    let clock = MovedClock::new();
    let store = backend.open(&clock, NODE).await;
    create_new(&store, transfer("source"), None).await;
    let held = claim(&store, request(1)).await;
    apply(&store, held[0].id, fail(&held[0], 3)).await.unwrap();
    until_told(&store, "nothing that is due", |due| {
        (due[0].leases, due[0].oldest_age) == (0, Duration::ZERO)
    })
    .await;
    backend
        .pass(&clock, &store, SignedDuration::from_secs(100))
        .await;
    let [transfers, _] = until_told(&store, "a retry that waits", |due| {
        due[0].oldest_age > Duration::from_secs(60)
    })
    .await;
    assert!(transfers.oldest_age <= Duration::from_secs(100));
}

async fn what_waits_and_is_held_is_told_after_a_start(backend: &impl Backend) {
    let clock = MovedClock::new();
    let store = backend.open(&clock, NODE).await;
    for _ in 0..2 {
        create_new(&store, transfer("source"), None).await;
    }
    claim(&store, request(1)).await;
    store.close().await;
    let store = backend.open(&clock, NODE).await;
    until_told(&store, "one that waits and one that is held", |due| {
        due[0].oldest_age > Duration::ZERO && due[0].leases == 1
    })
    .await;
}

async fn the_oldest_of_many_tenants_is_told_after_a_start(backend: &impl Backend) {
    let clock = MovedClock::new();
    let store = backend.open(&clock, NODE).await;
    // More than are read with one commit, and the oldest task is that of the last.
    create_new(&store, of("z", transfer("source")), None).await;
    clock.pass(SignedDuration::from_secs(100));
    for number in 0..40 {
        let tenant = format!("tenant-{number}");
        create_new(&store, of(&tenant, transfer("source")), None).await;
    }
    store.close().await;
    let store = backend.open(&clock, NODE).await;
    until_told(&store, "the oldest", |due| {
        due[0].oldest_age >= Duration::from_secs(100)
    })
    .await;
}
