//! Opening a database: when its schema is made, when it is refused, what is in
//! it.

use std::collections::HashSet;

use futures_util::future::join_all;
use kootask::store::StoreContext;
use kootask::store::postgres::{OpenError, PostgresUrl, migrate};
use kootask::store::schema::Migrated;

use super::super::{NODE, batch_import, create_new, key, transfer};
use super::proxy::Proxy;
use super::{Place, open, refused};

#[tokio::test]
async fn stores_opened_at_once_on_an_empty_database_make_its_schema_once() {
    let place = Place::new();
    let opened = join_all((0..6).map(async |_| {
        let store = place.open(None).await;
        (create_new(&store, transfer("source"), None).await, store)
    }))
    .await;
    let nodes: HashSet<u16> = opened.iter().map(|(id, _)| id.node()).collect();
    assert_eq!(nodes.len(), 6, "two stores share a node");
    assert_eq!(place.number("SELECT count(*) FROM _sqlx_migrations"), 2);
    assert_eq!(place.number("SELECT count(*) FROM task"), 6);
}

#[tokio::test]
async fn a_database_that_is_behind_is_refused_until_it_is_migrated() {
    let place = Place::new();
    let context = StoreContext {
        migrate: false,
        ..place.context(None)
    };
    for found in ["version 0", "version 0"] {
        let refused = refused(&place.url(), context.clone()).await;
        assert!(matches!(refused, OpenError::Schema { .. }), "{refused}");
        let said = refused.to_string();
        assert!(said.contains("kootask migrate"), "{said}");
        assert!(said.contains(found), "{said}");
        let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
        assert_eq!(place.number(tables), 0, "a refused database is left alone");
    }
    let migrated = migrate(&place.url()).await.unwrap();
    assert_eq!(migrated, Migrated { from: 0, to: 2 });
    let again = migrate(&place.url()).await.unwrap();
    assert_eq!(again, Migrated { from: 2, to: 2 });
    let store = open(&place.url(), context).await.unwrap();
    create_new(&store, transfer("source"), None).await;
}

#[tokio::test]
async fn a_database_newer_than_the_program_is_refused_and_left_as_it_is() {
    let place = Place::migrated().await;
    place.database.sql(
        "INSERT INTO _sqlx_migrations
             (version, description, success, checksum, execution_time)
         VALUES (9999, 'of the future', true, '\\x00', 0)",
    );
    let refused = refused(&place.url(), place.context(None)).await;
    assert!(matches!(refused, OpenError::Schema { .. }), "{refused}");
    let said = refused.to_string();
    assert!(said.contains("newer than this program"), "{said}");
    assert!(
        said.contains("version 9999") && said.contains("up to 2"),
        "{said}"
    );
    assert_eq!(place.number("SELECT count(*) FROM node_lease"), 0);
    assert_eq!(
        place.database.sql("SELECT version FROM _sqlx_migrations"),
        "1\n2\n9999"
    );
}

#[tokio::test]
async fn a_migration_that_was_altered_is_refused() {
    let place = Place::migrated().await;
    place
        .database
        .sql("UPDATE _sqlx_migrations SET checksum = '\\x00'");
    let refused = refused(&place.url(), place.context(None)).await;
    assert!(matches!(refused, OpenError::Schema { .. }), "{refused}");
    let said = refused.to_string();
    assert!(said.contains("migration 1 "), "{said}");
}

#[tokio::test]
async fn a_migration_that_fails_is_told_and_leaves_nothing() {
    let place = Place::new();
    place.database.sql("CREATE DOMAIN import_result AS text");
    let said = refused(&place.url(), place.context(None)).await.to_string();
    let expected = "migration 1 failed: the database says: type \"import_result\" already exists";
    assert!(said.ends_with(expected), "{said}");
    assert_eq!(place.database.sql("SELECT to_regclass('task')"), "");
    place.database.sql("DROP DOMAIN import_result");
    let store = place.open(None).await;
    create_new(&store, transfer("source"), None).await;
}

/// What may change the schema need not be what serves.
#[tokio::test]
async fn a_role_that_may_not_create_tables_opens_what_is_up_to_date() {
    let place = Place::new();
    let role = place.database.role("secret");
    let url = place.database.url_as(&format!("{role}:secret"));
    let url = url.parse().unwrap();
    // It cannot make the schema, and is told so.
    let said = refused(&url, place.context(None)).await.to_string();
    let expected = "the database says: permission denied for schema public";
    assert!(said.ends_with(expected), "{said}");

    migrate(&place.url()).await.unwrap();
    // Nor, without a right to it, look at it: that is not the same as an empty
    // database.
    let said = refused(&url, place.context(None)).await.to_string();
    assert!(
        said.ends_with("permission denied for table _sqlx_migrations"),
        "{said}"
    );

    place.database.sql(&format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
    ));
    let context = place.context(None);
    assert!(context.migrate);
    let store = open(&url, context).await.unwrap();
    create_new(&store, transfer("source"), Some(key("key"))).await;
    store.close().await;
    let owners = format!("SELECT count(*) FROM pg_tables WHERE tableowner = '{role}'");
    assert_eq!(place.number(&owners), 0);
}

#[tokio::test]
async fn a_row_is_what_was_asked_for() {
    let place = Place::new();
    let store = place.open(Some(NODE)).await;
    let transfer_id = create_new(&store, transfer("source"), Some(key("key")))
        .await
        .get();
    let import_id = create_new(&store, batch_import("result"), None).await.get();
    store.close().await;

    let row = |id: i64| {
        place.database.sql(&format!(
            "SELECT node, tenant_id, user_id, task_type, status, locale, init_params,
                 coalesce(src_user_id, '-')
             FROM task WHERE id = {id}"
        ))
    };
    assert_eq!(
        row(transfer_id),
        r#"337|tenant|caller|0|0|en-US|{"srcUserId":"source","dstUserId":"recipient"}|source"#
    );
    assert_eq!(
        row(import_id),
        r#"337|tenant|caller|1|0|en-US|{"resultId":"result","orgId":"org","orgUserId":"creator"}|-"#
    );
    assert_eq!(
        place.database.sql("SELECT node, task_id FROM idempotency"),
        format!("337|{transfer_id}")
    );
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_and_left_as_it_is() {
    for (theirs, named) in [
        ("CREATE TABLE customer ()", "«customer»"),
        // Even by the name that it would have here.
        ("CREATE TABLE task ()", "«task»"),
        ("CREATE VIEW report AS SELECT 1 AS one", "«report»"),
        (
            "CREATE TABLE _sqlx_migrations (version bigint PRIMARY KEY, description text,
                 installed_on timestamptz, success boolean, checksum bytea, execution_time bigint);
             INSERT INTO _sqlx_migrations VALUES (20230101, 'theirs', now(), true, '\\x00', 0)",
            "«_sqlx_migrations»",
        ),
    ] {
        let place = Place::new();
        place.database.sql(theirs);
        for migrates in [true, false] {
            let said = if migrates {
                migrate(&place.url()).await.unwrap_err().to_string()
            } else {
                refused(&place.url(), place.context(None)).await.to_string()
            };
            assert!(said.contains("another program's"), "{said}");
            assert!(said.contains(named), "{said}");
        }
        let tables = "SELECT count(*) FROM pg_class
                      WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')";
        assert_eq!(place.number(tables), 1, "{theirs}");
    }
}

#[tokio::test]
async fn what_an_extension_brings_makes_a_database_no_other_programs() {
    let place = Place::new();
    place.database.sql("CREATE EXTENSION pg_stat_statements");
    let store = place.open(None).await;
    create_new(&store, transfer("source"), None).await;
}

#[tokio::test]
async fn a_role_that_lacks_a_privilege_is_told_which_at_start() {
    let place = Place::migrated().await;
    let role = place.database.role("secret");
    let url = place.database.url_as(&format!("{role}:secret"));
    let url: PostgresUrl = url.parse().unwrap();
    let grant = |what: &str| place.database.sql(&format!("{what} {role}"));
    grant("GRANT SELECT ON _sqlx_migrations TO");
    grant("GRANT SELECT, INSERT ON attempt, action, import_failure TO");
    grant("GRANT SELECT, INSERT, UPDATE ON task, idempotency, node_lease, lease TO");
    let refused = refused(&url, place.context(None)).await;
    assert!(matches!(refused, OpenError::Unfit { .. }), "{refused}");
    let said = refused.to_string();
    assert!(
        said.contains("may not DELETE the table idempotency"),
        "{said}"
    );
    assert!(
        said.contains("GRANT SELECT, INSERT, UPDATE, DELETE"),
        "{said}"
    );
    assert_eq!(place.number("SELECT count(*) FROM node_lease"), 0);
    // No more than that is needed.
    grant("GRANT DELETE ON idempotency, lease TO");
    let store = open(&url, place.context(None)).await.unwrap();
    create_new(&store, transfer("source"), Some(key("key"))).await;
}

/// Opens a store on what is not fit yet; `get_fit` is called when it was looked at
/// some times.
async fn assert_waits(place: &Place, get_fit: impl FnOnce()) {
    let proxy = Proxy::before(&place.database).await;
    let url = place.database.url_through(proxy.port).parse().unwrap();
    let ready = async {
        // Two for each attempt.
        proxy.connection_after(5).await;
        get_fit();
    };
    let (store, ()) = tokio::join!(open(&url, place.context(None)), ready);
    let store = store.unwrap();
    create_new(&store, transfer("source"), None).await;
    store.close().await;
}

#[tokio::test]
async fn a_database_that_takes_no_writes_yet_is_waited_for() {
    let place = Place::new();
    let name = place.database.name();
    let set = |what: &str| {
        place.database.sql(&format!(
            "BEGIN READ WRITE; ALTER DATABASE {name} {what}; COMMIT"
        ));
    };
    // As a standby that is about to be promoted.
    set("SET default_transaction_read_only = on");
    assert_waits(&place, || set("RESET default_transaction_read_only")).await;
}

#[tokio::test]
async fn a_database_that_accepts_no_connections_yet_is_waited_for() {
    let place = Place::new();
    place.database.accept_connections(false);
    assert_waits(&place, || place.database.accept_connections(true)).await;
}
