//! Idempotency keys that others touch at the same moment.

use kootask::task::repository::Created;

use super::super::{create, create_new, key, transfer};
use super::Place;

impl Place {
    /// Has a key deleted right after the next claim to it, as another instance may
    /// whose clock is ahead.
    fn forget_after_the_next_claim(&self) {
        self.database.sql(
            "CREATE TABLE forgetting AS SELECT 1 AS once;
             CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 DELETE FROM idempotency USING forgetting;
                 DELETE FROM forgetting;
                 RETURN NULL;
             END $$;
             CREATE TRIGGER forget AFTER INSERT ON task
                 FOR EACH STATEMENT EXECUTE FUNCTION forget()",
        );
    }
}

#[tokio::test]
async fn a_key_that_is_forgotten_while_it_is_asked_for_makes_a_task_that_is_there() {
    let place = Place::new();
    let store = place.open(None).await;
    let first = create_new(&store, transfer("source"), Some(key("key"))).await;
    place.forget_after_the_next_claim();
    let again = create(&store, transfer("source"), Some(key("key"))).await;
    assert_eq!(place.number("SELECT count(*) FROM forgetting"), 0);
    let Ok(Created::New(second)) = again else {
        panic!("{again:?}");
    };
    assert!(second > first);
    let kept = format!("SELECT count(*) FROM task WHERE id = {second}");
    assert_eq!(place.number(&kept), 1, "it was promised, and is not there");
    let again = create(&store, transfer("source"), Some(key("key"))).await;
    assert_eq!(again.unwrap(), Created::Existing(second));
}

#[tokio::test]
async fn a_create_beside_a_key_that_is_forgotten_makes_its_one_task() {
    let place = Place::new();
    let store = place.open(None).await;
    create_new(&store, transfer("source"), Some(key("key"))).await;
    place.forget_after_the_next_claim();
    // One thread polls both before the writer: they share a commit.
    let (unkeyed, keyed) = tokio::join!(
        create_new(&store, transfer("source"), None),
        create_new(&store, transfer("source"), Some(key("key"))),
    );
    assert_eq!(place.number("SELECT count(*) FROM forgetting"), 0);
    for id in [unkeyed, keyed] {
        let kept = format!("SELECT count(*) FROM task WHERE id = {id}");
        assert_eq!(place.number(&kept), 1, "it was promised, and is not there");
    }
    assert_eq!(place.number("SELECT count(*) FROM task"), 3);
}
