//! The database file goes away while the service runs, and comes back.

use std::path::Path;

use super::Place;
use super::ledger::Ledger;
use super::load::{Load, create_keyed, retry_keyed, settle};
use crate::support::until;
use crate::support::wire::{Wire, transfer_from};

fn rename(from: &Path, to: &Path) {
    std::fs::rename(from, to).unwrap();
}

#[tokio::test]
async fn without_its_file_the_service_refuses_and_with_it_goes_on() {
    let place = Place::new();
    let away = place.0.path().join("away.db");
    let process = place.serve();
    let mut wire = Wire::connect(process.address).await;
    let mut ledger = Ledger::default();
    for round in 0..3 {
        let before = format!("before-{round}");
        let id = create_keyed(&mut wire, &before).await.unwrap().task_id();
        ledger.answered.push((before.clone(), id));
        rename(&place.path(), &away);
        for number in 0..3 {
            let meanwhile = format!("meanwhile-{round}-{number}");
            let reply = wire.create("", &transfer_from(&meanwhile)).await.unwrap();
            reply.assert_unavailable();
            ledger.unknown.push(meanwhile);
            // Not even what was answered before can be told without the file.
            create_keyed(&mut wire, &before)
                .await
                .unwrap()
                .assert_unavailable();
        }
        assert!(
            !place.path().exists(),
            "an empty database has come in its place"
        );
        rename(&away, &place.path());
        assert_eq!(retry_keyed(process.address, &before).await, id);
    }
    process.kill();
    ledger.assert_kept_at(&place.path());
}

#[tokio::test]
async fn a_folder_that_is_away_for_a_while_loses_nothing() {
    let place = Place::new();
    let folder = place.0.path().join("data");
    let away = place.0.path().join("away");
    let path = folder.join("kootask.db");
    let process =
        crate::support::process::TestProcess::dev(&format!("sqlite://{}", path.display()));
    let mut wire = Wire::connect(process.address).await;
    let mut ledger = Ledger::default();
    for round in 0..3 {
        let before = format!("before-{round}");
        let id = create_keyed(&mut wire, &before).await.unwrap().task_id();
        ledger.answered.push((before.clone(), id));
        rename(&folder, &away);
        create_keyed(&mut wire, &before)
            .await
            .unwrap()
            .assert_unavailable();
        assert!(!folder.exists(), "the folder was made anew");
        rename(&away, &folder);
        assert_eq!(retry_keyed(process.address, &before).await, id);
    }
    process.kill();
    ledger.assert_kept_at(&path);
}

#[tokio::test]
async fn under_load_nothing_is_lost_repeated_or_left_hanging() {
    let place = Place::new();
    let away = place.0.path().join("away.db");
    let process = place.serve();
    let load = Load::start(process.address, 16, "load");
    for _ in 0..5 {
        load.answers(100).await;
        rename(&place.path(), &away);
        load.refusals(20).await;
        rename(&away, &place.path());
    }
    load.answers(100).await;
    let mut ledger = load.stop().await;
    settle(process.address, &mut ledger).await;
    process.kill();
    ledger.assert_kept_at(&place.path());
}

#[tokio::test]
async fn another_database_in_its_place_is_not_written_to() {
    let place = Place::new();
    let (away, other) = (place.0.path().join("away.db"), Place::new());
    let elsewhere = other.serve();
    Wire::connect(elsewhere.address)
        .await
        .create("", &transfer_from("elsewhere"))
        .await;
    elsewhere.signal("TERM");
    elsewhere.ended_within(super::LIMIT).await;

    let process = place.serve();
    let mut wire = Wire::connect(process.address).await;
    let mut ledger = Ledger::default();
    for number in 0..10 {
        let source = format!("before-{number}");
        let id = create_keyed(&mut wire, &source).await.unwrap().task_id();
        ledger.answered.push((source, id));
    }
    rename(&place.path(), &away);
    std::fs::copy(other.path(), place.path()).unwrap();
    for number in 0..5 {
        let meanwhile = format!("meanwhile-{number}");
        create_keyed(&mut wire, &meanwhile)
            .await
            .unwrap()
            .assert_unavailable();
        ledger.unknown.push(meanwhile);
    }
    rename(&away, &place.path());
    until("the service to go on", async || {
        create_keyed(&mut wire, "before-0").await.unwrap().status == 200
    })
    .await;
    process.kill();
    ledger.assert_kept_at(&place.path());
}
