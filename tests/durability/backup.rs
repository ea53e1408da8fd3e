//! `kootask backup` beside a service that writes.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use super::Place;
use super::load::{Load, is_keyed, retry_keyed};
use crate::support::process::kootask;

/// Runs `kootask backup` to its end, without holding the test's clients up.
async fn backup(place: &Place, copy: &Path) -> Output {
    let (url, copy) = (place.url(), copy.to_owned());
    let run = move || {
        let mut command = kootask();
        command.args(["backup", "--store", &url]).arg(copy);
        command.output().unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_full_load_ends_and_has_all_that_was_answered_before() {
    let place = Place::new();
    let process = place.serve();
    let before = Load::start(process.address, 24, "before");
    before.answers(2000).await;
    let mut ledger = before.stop().await;

    let during = Load::start(process.address, 24, "during");
    during.answers(200).await;
    let restored = Place::new();
    let output = backup(&place, &restored.path()).await;
    assert!(output.status.success(), "{output:?}");
    // The load went on, and goes on.
    during.answers(200).await;
    process.kill();
    let during = during.ended().await;
    let sources = during.answered.into_iter().map(|(source, _)| source);
    ledger.unknown.extend(sources.chain(during.unknown));
    ledger.assert_kept_at(&restored.path());
    let mode = restored.path().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let files = std::fs::read_dir(restored.0.path()).unwrap();
    assert_eq!(files.count(), 1, "what was begun is left");

    // It is a store to go on with, which knows its idempotency keys.
    let process = restored.serve();
    let keyed = ledger
        .answered
        .iter()
        .filter(|(source, _)| is_keyed(source));
    for (source, id) in keyed.take(20) {
        assert_eq!(retry_keyed(process.address, source).await, *id);
    }
}

#[tokio::test]
async fn a_database_that_nobody_has_open_is_copied_and_left_as_it_is() {
    let place = Place::new();
    let process = place.serve();
    let load = Load::start(process.address, 4, "load");
    load.answers(50).await;
    // It leaves its log behind.
    process.kill();
    let ledger = load.ended().await;
    let files = || {
        ["kootask.db", "kootask.db-wal"]
            .map(|name| std::fs::read(place.0.path().join(name)).unwrap())
    };
    let as_left = files();
    let restored = Place::new();
    let output = backup(&place, &restored.path()).await;
    assert!(output.status.success(), "{output:?}");
    assert!(files() == as_left, "the database was changed");
    ledger.assert_kept_at(&restored.path());
    // A newer copy takes the place of an older one.
    let output = backup(&place, &restored.path()).await;
    assert!(output.status.success(), "{output:?}");
    ledger.assert_kept_at(&restored.path());
}

#[tokio::test]
async fn what_would_destroy_something_or_copies_nothing_of_use_is_refused() {
    let place = Place::new();
    let process = place.serve();
    let load = Load::start(process.address, 2, "load");
    load.answers(20).await;
    let log = place.0.path().join("kootask.db-wal");
    let link = place.0.path().join("link");
    std::os::unix::fs::symlink(place.path(), &link).unwrap();
    for own in [&place.path(), &log, &link] {
        let output = backup(&place, own).await;
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains("a file of the database itself"), "{error}");
    }
    load.answers(20).await;
    process.kill();
    let ledger = load.ended().await;

    let elsewhere = Place::new();
    let nowhere = elsewhere.0.path().join("none/copy");
    assert!(!backup(&place, &nowhere).await.status.success());
    let empty = Place::new();
    let output = backup(&empty, &elsewhere.path()).await;
    assert!(!output.status.success(), "{output:?}");
    assert!(!empty.path().exists(), "a database was made");
    rusqlite::Connection::open(empty.path())
        .unwrap()
        .execute_batch("CREATE TABLE other (x)")
        .unwrap();
    let output = backup(&empty, &elsewhere.path()).await;
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("no database of kootask"), "{error}");

    // A copy would hide that something is missing.
    std::fs::remove_file(&log).unwrap();
    let _ = std::fs::remove_file(place.0.path().join("kootask.db-shm"));
    let output = backup(&place, &elsewhere.path()).await;
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("its log (-wal) is gone"), "{error}");
    let left = std::fs::read_dir(elsewhere.0.path()).unwrap();
    assert_eq!(left.count(), 0);
    drop(ledger);
}
