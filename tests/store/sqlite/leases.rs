//! Leases cost the disk nothing.

use std::time::Duration;

use kootask::task::attempt::Claim;
use kootask::task::claim::ClaimRequest;
use kootask::task::life_cycle::{Command, Report};
use kootask::task::scope::Scope;
use rusqlite::Connection;
use uuid::Uuid;

use super::Place;
use crate::store::{apply, create_new, identifier, transfer};

#[tokio::test]
async fn heartbeats_and_claims_of_nothing_write_nothing() {
    let place = Place::new();
    let store = place.open().await;
    create_new(&store, transfer("source"), None).await;
    let claim = |claim_id| ClaimRequest {
        claim: Claim {
            claim_id: Uuid::from_u128(claim_id),
            worker: identifier("w1"),
            holder: identifier("migrator"),
            lease: Duration::from_secs(60),
        },
        scope: Scope::everything(),
        max: 1,
        wait: Duration::ZERO,
    };
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
