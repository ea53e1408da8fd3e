//! What is answered is on the disk, whatever the database does by default.

use kootask::task::life_cycle::Step;

use super::super::{create_new, step, transfer};
use super::Place;

/// How the sessions that wrote tasks, for creates and for steps, were set.
async fn set_to(default: &str) -> String {
    let place = Place::migrated().await;
    place.database.sql(
        "CREATE TABLE witnessed (setting text);
         CREATE FUNCTION witness() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO witnessed VALUES (TG_OP || ' ' || current_setting('synchronous_commit'));
             RETURN NEW;
         END $$;
         CREATE TRIGGER witness BEFORE INSERT OR UPDATE ON task
             FOR EACH ROW EXECUTE FUNCTION witness()",
    );
    let database = place.database.sql("SELECT current_database()");
    place.database.sql(&format!(
        "ALTER DATABASE {database} SET synchronous_commit = {default}"
    ));
    assert_eq!(place.database.sql("SHOW synchronous_commit"), default);
    let store = place.open(None).await;
    let id = create_new(&store, transfer("source"), None).await;
    step(&store, id, Step::Start).await;
    place
        .database
        .sql("SELECT string_agg(setting, ', ') FROM witnessed")
}

#[tokio::test]
async fn a_commit_waits_for_the_disk_even_where_none_does_by_default() {
    assert_eq!(set_to("off").await, "INSERT on, UPDATE on");
}

#[tokio::test]
async fn a_stronger_default_is_left_alone() {
    for default in ["on", "remote_apply"] {
        let expected = format!("INSERT {default}, UPDATE {default}");
        assert_eq!(set_to(default).await, expected);
    }
}
