//! A database of which something is gone is refused, and left as it is; so is
//! one of another program.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use kootask::store::sqlite::{Lost, OpenError};
use rusqlite::Connection;

use super::super::{create, create_new, identifier, key, tenant, transfer};
use super::{Place, look_into, value};

/// The database as a crash leaves it after `tasks` commits.
async fn crashed(tasks: usize) -> Place {
    let place = Place::new();
    let store = place.open().await;
    for _ in 0..tasks {
        create_new(&store, transfer("source"), None).await;
    }
    let copy = Place::new();
    for suffix in ["", "-wal", "-shm"] {
        fs::copy(beside(&place.path(), suffix), beside(&copy.path(), suffix)).unwrap();
    }
    store.close().await;
    copy
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn cut(path: &Path, to: u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(to).unwrap();
}

fn tasks(path: &Path) -> i64 {
    value(&look_into(path), "SELECT count(*) FROM task")
}

/// The database is refused for this reason, and no file is changed by it.
async fn assert_lost(place: &Place, what: Lost) {
    let files = || -> Vec<(PathBuf, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(place.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| !path.to_string_lossy().ends_with("-shm"))
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect();
        files.sort_unstable();
        files
    };
    let before = files();
    let refused = place.refusal(&place.path()).await;
    assert!(
        matches!(refused, OpenError::Lost { what: found, .. } if found == what),
        "{refused}"
    );
    assert!(files() == before, "a file has changed");
}

#[tokio::test]
async fn a_database_without_its_log_is_refused_until_the_log_is_back() {
    let place = crashed(3).await;
    let (log, away) = (
        beside(&place.path(), "-wal"),
        place.folder.path().join("away"),
    );
    fs::rename(&log, &away).unwrap();
    assert_lost(&place, Lost::Log).await;
    fs::write(&log, "").unwrap();
    assert_lost(&place, Lost::Log).await;
    fs::rename(&away, &log).unwrap();
    place.open().await.close().await;
    assert_eq!(tasks(&place.path()), 3);
}

#[tokio::test]
async fn a_log_is_missed_under_another_name_of_the_database() {
    let place = crashed(3).await;
    let other = Place::new();
    fs::hard_link(place.path(), other.path()).unwrap();
    assert_lost(&other, Lost::Log).await;
    place.open().await.close().await;
    other.open().await.close().await;
    assert_eq!(tasks(&other.path()), 3);
}

#[tokio::test]
async fn what_a_refusal_advises_lets_the_service_go_on_without_the_log() {
    let place = crashed(3).await;
    fs::remove_file(beside(&place.path(), "-wal")).unwrap();
    assert_lost(&place, Lost::Log).await;
    look_into(&place.path())
        .execute("UPDATE log_state SET is_needed = 0", [])
        .unwrap();
    let store = place.open().await;
    create_new(&store, transfer("source"), None).await;
}

#[tokio::test]
async fn a_log_is_needed_also_after_it_was_moved_into_the_database() {
    let place = Place::new();
    let store = place.open().await;
    let main = || fs::metadata(place.path()).unwrap().len();
    let before = main();
    // As many commits as it takes.
    while main() == before {
        create_new(&store, transfer("source"), None).await;
    }
    for _ in 0..3 {
        create_new(&store, transfer("source"), None).await;
    }
    let copy = Place::new();
    fs::copy(place.path(), copy.path()).unwrap();
    assert_lost(&copy, Lost::Log).await;
    store.close().await;
}

#[tokio::test]
async fn a_log_that_another_program_moved_into_the_database_is_not_missed() {
    let place = crashed(3).await;
    assert_eq!(tasks(&place.path()), 3);
    assert!(!beside(&place.path(), "-wal").exists());
    place.open().await.close().await;
}

#[tokio::test]
async fn a_copy_made_by_sqlite_is_whole_without_a_log() {
    let place = Place::new();
    let store = place.open().await;
    create_new(&store, transfer("source"), None).await;
    let copy = Place::new();
    look_into(&place.path())
        .execute("VACUUM INTO ?1", [copy.path().to_str().unwrap()])
        .unwrap();
    copy.open().await.close().await;
    assert_eq!(tasks(&copy.path()), 1);
    store.close().await;
}

#[tokio::test]
async fn a_log_that_was_cut_short_is_refused() {
    let place = crashed(3).await;
    let log = beside(&place.path(), "-wal");
    let bytes = fs::metadata(&log).unwrap().len();
    cut(&log, bytes - 1);
    assert_lost(&place, Lost::LogEnd).await;
}

#[tokio::test]
async fn a_database_that_was_emptied_or_removed_beside_its_log_does_not_start_empty() {
    let place = crashed(3).await;
    cut(&place.path(), 0);
    assert_lost(&place, Lost::Database).await;
    fs::remove_file(place.path()).unwrap();
    let refused = place.refusal(&place.path()).await;
    assert!(
        matches!(
            refused,
            OpenError::Lost {
                what: Lost::Database,
                ..
            }
        ),
        "{refused}"
    );
}

#[tokio::test]
async fn a_database_that_was_cut_short_is_refused() {
    let place = Place::new();
    place.open().await.close().await;
    let bytes = fs::metadata(place.path()).unwrap().len();
    cut(&place.path(), bytes - 4096);
    assert_lost(&place, Lost::End).await;
    cut(&place.path(), 50);
    let refused = place.refusal(&place.path()).await;
    assert!(matches!(refused, OpenError::NotADatabase(_)), "{refused}");
}

#[tokio::test]
async fn what_is_committed_to_a_log_that_was_removed_is_not_answered_and_not_lost() {
    let place = Place::new();
    let store = place.open().await;
    let answered = create_new(&store, transfer("source"), Some(key("key"))).await;
    fs::remove_file(beside(&place.path(), "-wal")).unwrap();
    for _ in 0..3 {
        assert!(create(&store, transfer("source"), None).await.is_err());
    }
    // The process still holds what has no name any more.
    store.close().await;
    let store = place.open().await;
    let found = store.find(&tenant(), answered).await.unwrap();
    assert!(found.is_some(), "an answered task is lost");
    store.close().await;
}

#[tokio::test]
async fn the_database_of_another_program_is_refused_and_left_as_it_is() {
    for make in [
        "CREATE TABLE theirs (column)",
        "PRAGMA application_id = 7",
        "CREATE TABLE task (id INTEGER PRIMARY KEY); CREATE TABLE _sqlx_migrations (version)",
        "PRAGMA journal_mode = wal; CREATE TABLE theirs (column)",
    ] {
        let place = Place::new();
        let theirs = Connection::open(place.path()).unwrap();
        theirs.execute_batch(make).unwrap();
        theirs.execute_batch("PRAGMA user_version = 3").unwrap();
        let check = async |place: &Place| {
            let before = fs::read(place.path()).unwrap();
            let refused = place.refusal(&place.path()).await;
            assert!(
                matches!(refused, OpenError::Foreign(_)),
                "{make}: {refused}"
            );
            assert!(fs::read(place.path()).unwrap() == before, "{make}");
        };
        check(&place).await;
        theirs.close().unwrap();
        check(&place).await;
        assert_eq!(
            fs::read_dir(place.folder.path()).unwrap().count(),
            1,
            "{make}"
        );
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_does_not_stop_the_start() {
    let place = Place::new();
    let store = place.open().await;
    create_new(&store, transfer("damaged"), None).await;
    let whole = create_new(&store, transfer("whole"), None).await;
    store.close().await;
    look_into(&place.path())
        .execute(
            "UPDATE task SET init_params = 'rubbish' WHERE init_params LIKE '%damaged%'",
            [],
        )
        .unwrap();
    let store = place.open().await;
    let found = store.newest_transfer(&tenant(), &identifier("whole")).await;
    assert_eq!(found.unwrap().map(|task| task.id), Some(whole));
}

/// A process that is killed while it moves its log leaves this; so does the next
/// one, which is killed before it has a log of its own.
#[tokio::test]
async fn a_log_that_still_says_it_is_needed_is_moved_first() {
    let place = crashed(3).await;
    look_into_and_leave_the_log(&place.path(), "UPDATE log_state SET is_needed = 1");
    let file = place.path();
    place.open().await.close().await;
    let needed: i64 = value(&look_into(&file), "SELECT is_needed FROM log_state");
    assert_eq!((needed, tasks(&file)), (0, 3));
}

/// Runs this as a process that ends without closing the database.
fn look_into_and_leave_the_log(path: &Path, sql: &str) {
    let work = look_into(path);
    work.execute_batch(sql).unwrap();
    let away = path.with_extension("away");
    fs::create_dir(&away).unwrap();
    for suffix in ["", "-wal"] {
        let file = beside(path, suffix);
        fs::copy(&file, away.join(file.file_name().unwrap())).unwrap();
    }
    work.close().unwrap();
    for suffix in ["", "-wal"] {
        let file = beside(path, suffix);
        fs::rename(away.join(file.file_name().unwrap()), &file).unwrap();
    }
}
