//! Opening a database: when it is made, when it is refused, what is in it.

use kootask::store::sqlite::{OpenError, SqliteStore};
use kootask::task::repository::TaskRepository;
use rusqlite::{Connection, params};
use sha2::{Digest, Sha384};

use super::super::{NODE, batch_import, create_new, key, transfer};
use super::{Place, look_into, value};
use crate::support::process::{TestProcess, kootask};

#[tokio::test]
async fn the_folder_and_the_database_are_made_at_need() {
    let place = Place::new();
    let path = place.folder.path().join("a/b/kootask.db");
    let store = SqliteStore::open(&path, place.clock.context(NODE))
        .await
        .unwrap();
    store.close().await;
    assert!(path.is_file());
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let place = Place::new();
    std::fs::write(place.folder.path().join("file"), "").unwrap();
    let path = place.folder.path().join("file/kootask.db");
    let refused = SqliteStore::open(&path, place.clock.context(NODE))
        .await
        .err()
        .unwrap();
    assert!(matches!(refused, OpenError::File { .. }), "{refused}");
    assert!(refused.to_string().contains("/file"), "{refused}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_as_it_is() {
    let place = Place::new();
    let text = "this is no database ".repeat(1000);
    std::fs::write(place.path(), &text).unwrap();
    SqliteStore::open(&place.path(), place.clock.context(NODE))
        .await
        .err()
        .unwrap();
    assert_eq!(std::fs::read_to_string(place.path()).unwrap(), text);
}

#[tokio::test]
async fn a_second_store_on_an_open_database_is_refused() {
    let place = Place::new();
    let store = place.open().await;
    place.assert_in_use(&place.path()).await;
    // The first one does not notice.
    create_new(&store, transfer("source"), None).await;
    store.close().await;
    place.open().await;
}

#[tokio::test]
async fn a_second_process_on_an_open_database_is_refused() {
    let place = Place::new();
    let store = format!("sqlite://{}", place.path().display());
    let first = TestProcess::dev(&store);
    let second = kootask()
        .args(["dev", "--listen", "127.0.0.1:0", "--store", &store])
        .output()
        .unwrap();
    assert!(!second.status.success());
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(
        said.contains("another process has this store open"),
        "{said}"
    );
    place.assert_in_use(&place.path()).await;
    first
        .create(crate::support::client::TRANSFER)
        .send()
        .await
        .task_id();
    // A process that was killed holds nothing.
    first.kill();
    place.open().await;
}

#[tokio::test]
async fn a_database_newer_than_the_program_is_refused_and_left_as_it_is() {
    let place = Place::new();
    place.open().await.close().await;
    let connection = look_into(&place.path());
    connection
        .execute(
            "INSERT INTO _sqlx_migrations
                 (version, description, installed_on, success, checksum, execution_time)
             VALUES (9999, 'of the future', '2099-01-01', 1, x'00', 0)",
            [],
        )
        .unwrap();
    connection.close().unwrap();
    let refused = place.refusal(&place.path()).await;
    assert!(matches!(refused, OpenError::Schema { .. }), "{refused}");
    assert!(refused.to_string().contains("9999"), "{refused}");
}

/// As sqlx leaves it, which has migrated the databases of earlier versions.
#[tokio::test]
async fn a_database_that_an_earlier_version_migrated_is_migrated_on() {
    const TASKS: &str = include_str!("../../../src/store/sqlite/migrations/0001_tasks.sql");
    let place = Place::new();
    let connection = Connection::open(place.path()).unwrap();
    connection.execute_batch(TASKS).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE _sqlx_migrations (
                version BIGINT PRIMARY KEY,
                description TEXT NOT NULL,
                installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
                success BOOLEAN NOT NULL,
                checksum BLOB NOT NULL,
                execution_time BIGINT NOT NULL
            )",
        )
        .unwrap();
    connection
        .execute(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (1, 'tasks', TRUE, ?1, -1)",
            params![Sha384::digest(TASKS).to_vec()],
        )
        .unwrap();
    connection.close().unwrap();

    place.open().await.close().await;
    let migrations = "SELECT group_concat(version || ' ' || description || ' ' || success || ' '
                          || length(checksum), ', ' ORDER BY version)
                      FROM _sqlx_migrations";
    assert_eq!(
        value::<String>(&look_into(&place.path()), migrations),
        "1 tasks 1 48, 2 life cycle 1 48, 3 log 1 48, 4 clock 1 48"
    );
}

#[tokio::test]
async fn a_row_is_what_was_asked_for() {
    let place = Place::new();
    let store = place.open().await;
    let transfer_id = create_new(&store, transfer("source"), Some(key("key")))
        .await
        .get();
    let import_id = create_new(&store, batch_import("result"), None).await.get();
    store.close().await;

    let connection = look_into(&place.path());
    let columns =
        "tenant_id || ' ' || user_id || ' ' || task_type || ' ' || status || ' ' || locale
                   || ' ' || init_params";
    let row = |id: i64| {
        value::<String>(
            &connection,
            &format!("SELECT {columns} FROM task WHERE id = {id}"),
        )
    };
    assert_eq!(
        row(transfer_id),
        r#"tenant caller 0 0 en-US {"srcUserId":"source","dstUserId":"recipient"}"#
    );
    assert_eq!(
        row(import_id),
        r#"tenant caller 1 0 en-US {"resultId":"result","orgId":"org","orgUserId":"creator"}"#
    );
    let keyed: Vec<i64> = vec![value(&connection, "SELECT task_id FROM idempotency")];
    assert_eq!(keyed, [transfer_id]);
}

#[tokio::test]
async fn a_closed_database_is_whole_and_in_one_file() {
    let place = Place::new();
    let store = place.open().await;
    for _ in 0..10 {
        create_new(&store, transfer("source"), None).await;
    }
    store.close().await;
    let wal = place.folder.path().join("kootask.db-wal");
    assert!(
        !wal.exists(),
        "a copy of the database file alone would lack tasks"
    );
    let connection = look_into(&place.path());
    assert_eq!(value::<String>(&connection, "PRAGMA integrity_check"), "ok");
    assert_eq!(value::<String>(&connection, "PRAGMA journal_mode"), "wal");
    assert_eq!(value::<i64>(&connection, "SELECT count(*) FROM task"), 10);
}

#[tokio::test]
async fn reading_the_database_does_not_hold_up_creates() {
    let place = Place::new();
    let store = place.open().await;
    create_new(&store, transfer("source"), None).await;
    let mut reader = Connection::open(place.path()).unwrap();
    let snapshot = reader.transaction().unwrap();
    assert_eq!(value::<i64>(&snapshot, "SELECT count(*) FROM task"), 1);
    create_new(&store, transfer("source"), None).await;
    assert_eq!(value::<i64>(&snapshot, "SELECT count(*) FROM task"), 1);
}
