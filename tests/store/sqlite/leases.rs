//! Claims and leases, as only SQLite has them.

use jiff::SignedDuration;
use kootask::task::life_cycle::Command;
use kootask::task::repository::{ApplyError, StoreError};
use kootask::task::{TaskId, TaskStatus};
use rusqlite::Connection;

use super::Place;
use crate::store::work::{actor, claim, complete, find, heartbeat, request};
use crate::store::{apply, create_new, transfer};

#[tokio::test]
async fn a_damaged_task_is_in_nobodys_way() {
    let place = Place::new();
    let store = place.open().await;
    let damaged = create_new(&store, transfer("source"), None).await;
    let held = create_new(&store, transfer("source"), None).await;
    let other = create_new(&store, transfer("source"), None).await;
    let damage = |id: TaskId| {
        let connection = Connection::open(place.path()).unwrap();
        let damage = "UPDATE task SET init_params = '?' WHERE id = ?1";
        assert_eq!(connection.execute(damage, [id.get()]).unwrap(), 1);
    };
    damage(damaged);
    assert_eq!(claim(&store, request(1)).await[0].id, held);
    damage(held);
    // The end of its lease does not end the work of the others.
    place.clock.pass(SignedDuration::from_secs(66));
    assert_eq!(claim(&store, request(2)).await[0].id, other);
    let applied = apply(&store, damaged, Command::Cancel(actor())).await;
    let is_corrupt = matches!(applied, Err(ApplyError::Store(StoreError::Corrupt(_))));
    assert!(is_corrupt, "{applied:?}");
    store.close().await;
    let store = place.open().await;
    create_new(&store, transfer("source"), None).await;
    assert_eq!(claim(&store, request(3)).await.len(), 1);
    store.close().await;
}

#[tokio::test]
async fn heartbeats_and_claims_of_nothing_write_nothing() {
    let place = Place::new();
    let store = place.open().await;
    create_new(&store, transfer("source"), None).await;
    let task = claim(&store, request(1)).await.remove(0);
    let observer = Connection::open(place.path()).unwrap();
    // It changes with each commit of others that changed something.
    let version = || -> i64 {
        observer
            .pragma_query_value(None, "data_version", |row| row.get(0))
            .unwrap()
    };
    let before = version();
    for number in 0..20 {
        apply(&store, task.id, heartbeat(&task)).await.unwrap();
        assert!(claim(&store, request(number + 2)).await.is_empty());
    }
    assert_eq!(version(), before);
    apply(&store, task.id, complete(&task)).await.unwrap();
    assert_ne!(version(), before);
    store.close().await;
}

/// Tasks that workers are at are known without being read: what is known must not run
/// ahead of the database.
#[tokio::test]
async fn what_a_failed_commit_would_have_changed_is_as_before() {
    let place = Place::new();
    let store = place.open().await;
    create_new(&store, transfer("source"), None).await;
    let task = claim(&store, request(1)).await.remove(0);
    let other = Connection::open(place.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let failed = apply(&store, task.id, Command::Cancel(actor())).await;
    assert!(matches!(failed, Err(ApplyError::Store(_))), "{failed:?}");
    other.execute_batch("ROLLBACK").unwrap();
    apply(&store, task.id, heartbeat(&task)).await.unwrap();
    let completed = apply(&store, task.id, complete(&task)).await.unwrap();
    assert_eq!(completed.status, TaskStatus::Success);
    assert!(!completed.cancel_requested);
    assert_eq!(find(&store, task.id).await, completed);
    store.close().await;
}
