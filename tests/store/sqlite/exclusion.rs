//! One store at a time has a database, by whatever name it is reached.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use kootask::task::repository::TaskRepository;

use super::super::{create_new, transfer};
use super::{Place, look_into, value};

#[tokio::test]
async fn a_second_store_is_refused_through_another_name_of_the_file() {
    let place = Place::new();
    let store = place.open().await;
    let names = ["symlink.db", "hard-link.db"].map(|name| place.folder.path().join(name));
    symlink(place.path(), &names[0]).unwrap();
    fs::hard_link(place.path(), &names[1]).unwrap();
    for name in &names {
        place.assert_in_use(name).await;
    }
    // The first one does not notice.
    create_new(&store, transfer("source"), None).await;
    store.close().await;
    for name in &names {
        place.open_free(name).await.unwrap().close().await;
    }
}

#[tokio::test]
async fn a_second_store_is_refused_whatever_is_removed_beside_the_file() {
    let place = Place::new();
    let store = place.open().await;
    for entry in fs::read_dir(place.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path != place.path() {
            fs::rename(&path, path.with_extension("away")).unwrap();
        }
    }
    place.assert_in_use(&place.path()).await;
    drop(store);
}

#[tokio::test]
async fn a_link_beside_the_file_is_not_written_through() {
    let place = Place::new();
    let target = place.folder.path().join("target");
    fs::write(&target, "somebody's").unwrap();
    symlink(&target, place.folder.path().join("kootask.db.lock")).unwrap();
    place.open().await.close().await;
    assert_eq!(fs::read_to_string(target).unwrap(), "somebody's");
}

/// Another program's lock on the file would be gone if a refused store closed it.
#[tokio::test]
async fn a_refused_store_leaves_the_locks_of_the_open_one() {
    let place = Place::new();
    let store = place.open().await;
    create_new(&store, transfer("source"), None).await;
    place.assert_in_use(&place.path()).await;
    // The last connection to close removes the log: this is not the last.
    let status = crate::support::command::command("sqlite3")
        .arg(place.path())
        .arg("SELECT count(*) FROM task")
        .status();
    let log = place.folder.path().join("kootask.db-wal");
    assert!(log.exists(), "{status:?}");
    create_new(&store, transfer("source"), None).await;
    store.close().await;
    let tasks: i64 = value(&look_into(&place.path()), "SELECT count(*) FROM task");
    assert_eq!(tasks, 2);
}

#[tokio::test]
async fn the_files_are_for_their_owner_alone() {
    let place = Place::new();
    let store = place.open().await;
    create_new(&store, transfer("source"), None).await;
    let mut files = 0;
    for entry in fs::read_dir(place.folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", entry.path().display());
        files += 1;
    }
    assert!(files >= 2, "the database and its log");
    store.close().await;
}
