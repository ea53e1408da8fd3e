//! Claims and leases, as only SQLite has them.

use std::time::Duration;

use jiff::SignedDuration;
use kootask::task::TaskId;
use kootask::task::attempt::{Actor, Claim};
use kootask::task::claim::ClaimRequest;
use kootask::task::life_cycle::{Command, Report};
use kootask::task::repository::{ApplyError, StoreError};
use kootask::task::scope::Scope;
use rusqlite::Connection;
use uuid::Uuid;

use super::Place;
use crate::store::{apply, create_new, identifier, transfer};

fn claim(claim_id: u128) -> ClaimRequest {
    ClaimRequest {
        claim: Claim {
            claim_id: Uuid::from_u128(claim_id),
            worker: identifier("w1"),
            holder: identifier("migrator"),
            lease: Duration::from_secs(60),
        },
        scope: Scope::everything(),
        max: 1,
        wait: Duration::ZERO,
    }
}

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
    assert_eq!(store.claim(claim(1)).await.unwrap()[0].id, held);
    damage(held);
    // The end of its lease does not end the work of the others.
    place.clock.pass(SignedDuration::from_secs(66));
    assert_eq!(store.claim(claim(2)).await.unwrap()[0].id, other);
    let cancel = Command::Cancel(Actor {
        credential: None,
        user_id: identifier("admin"),
    });
    let applied = apply(&store, damaged, cancel).await;
    let is_corrupt = matches!(applied, Err(ApplyError::Store(StoreError::Corrupt(_))));
    assert!(is_corrupt, "{applied:?}");
    store.close().await;
    let store = place.open().await;
    create_new(&store, transfer("source"), None).await;
    assert_eq!(store.claim(claim(3)).await.unwrap().len(), 1);
    store.close().await;
}

#[tokio::test]
async fn heartbeats_and_claims_of_nothing_write_nothing() {
    let place = Place::new();
    let store = place.open().await;
    create_new(&store, transfer("source"), None).await;
    let task = store.claim(claim(1)).await.unwrap().remove(0);
    let report = || Report {
        fence: task.fence,
        holder: identifier("migrator"),
    };
    let observer = Connection::open(place.path()).unwrap();
    // It changes with each commit of others that changed something.
    let version = || -> i64 {
        observer
            .pragma_query_value(None, "data_version", |row| row.get(0))
            .unwrap()
    };
    let before = version();
    for number in 0..20 {
        let heartbeat = Command::Heartbeat {
            report: report(),
            counts: None,
            timeout: Duration::from_secs(3600),
        };
        apply(&store, task.id, heartbeat).await.unwrap();
        assert!(store.claim(claim(number + 2)).await.unwrap().is_empty());
    }
    assert_eq!(version(), before);
    let complete = Command::Complete {
        report: report(),
        counts: None,
    };
    apply(&store, task.id, complete).await.unwrap();
    assert_ne!(version(), before);
    store.close().await;
}
