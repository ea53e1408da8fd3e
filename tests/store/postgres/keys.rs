//! Idempotency keys that others touch at the same moment.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kootask::task::idempotency::Idempotency;
use kootask::task::repository::{Created, TaskRepository};

use super::super::{create, create_new, key, key_of_another_body, tenant, transfer};
use super::Place;
use crate::support::until;

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

/// The statement that claims this key, and nothing more.
fn claim(key: Idempotency) -> String {
    let digest: String = key.key.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("INSERT INTO idempotency VALUES ('\\x{digest}', '\\x00', 0, 1)")
}

/// How often others are answered while a create waits for its key, which is refused
/// in the end.
async fn others_meanwhile(store: &Arc<dyn TaskRepository>, locked: Idempotency) -> u32 {
    let mut others = 0_u32;
    let begun = Instant::now();
    let mut waiting = pin!(create(store, transfer("source"), Some(locked)));
    loop {
        let asked = Instant::now();
        let other = key(&format!("{begun:?}-{others}"));
        let other = async {
            create_new(store, transfer("source"), None).await;
            create_new(store, transfer("source"), Some(other)).await;
        };
        tokio::select! {
            biased;
            refused = &mut waiting => {
                let said = refused.unwrap_err().to_string();
                assert!(said.contains("the idempotency key locked"), "{said}");
                return others;
            }
            () = other => {}
        }
        let took = asked.elapsed();
        assert!(
            took < Duration::from_secs(2),
            "another create took {took:?}"
        );
        others += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_another_session_holds_locked_holds_up_nobody_else() {
    let place = Place::new();
    let store = place.open(None).await;
    let first = create_new(&store, transfer("source"), Some(key("row"))).await;
    for (name, held) in [
        (
            "row",
            "UPDATE idempotency SET body_digest = body_digest".to_owned(),
        ),
        // Which nobody can see yet.
        ("claim", claim(key("claim"))),
    ] {
        let lock = place.database.hold(&held);
        for _ in 0..2 {
            let others = others_meanwhile(&store, key(name)).await;
            assert!(others >= 10, "{name}: {others}");
        }
        drop(lock);
        let again = create(&store, transfer("source"), Some(key(name))).await;
        match (name, again) {
            ("row", Ok(Created::Existing(id))) => assert_eq!(id, first),
            ("claim", Ok(_)) => {}
            (_, again) => panic!("{name}: {again:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_free_again_soon_is_answered() {
    let place = Place::new();
    let store = place.open(None).await;
    let first = create_new(&store, transfer("source"), Some(key("key"))).await;
    let lock = place
        .database
        .hold("UPDATE idempotency SET body_digest = body_digest");
    let free = async {
        until("it to wait by itself", async || {
            place.number(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                 AND wait_event_type = 'Lock' AND query LIKE '%WHERE false%'",
            ) == 1
        })
        .await;
        drop(lock);
    };
    let (again, ()) = tokio::join!(create(&store, transfer("source"), Some(key("key"))), free);
    assert_eq!(again.unwrap(), Created::Existing(first));
}

/// A request that carries this key and this signature.
fn signed(name: &str, signature: u8) -> Option<Idempotency> {
    Some(key(name).and_signature(&tenant(), &[signature; 32]))
}

#[tokio::test]
async fn a_key_and_a_signature_stand_for_one_task_each_by_itself() {
    let place = Place::new();
    let store = place.open(None).await;
    let first = create_new(&store, transfer("source"), signed("one", 1)).await;
    for again in [
        signed("another", 1),
        // It came with the signature, so it stands for the task by itself.
        Some(key("another")),
        signed("another", 2),
        signed("third", 2),
        Some(key("one")),
    ] {
        let again = create(&store, transfer("source"), again).await.unwrap();
        assert_eq!(again, Created::Existing(first));
    }
    let mut other_body = signed("one", 3).unwrap();
    other_body.body = key_of_another_body("one").body;
    let refused = create(&store, transfer("source"), Some(other_body)).await;
    assert_eq!(refused.unwrap(), Created::Mismatch);
    // What was refused stands for nothing.
    create_new(&store, transfer("source"), signed("fourth", 3)).await;
    assert_eq!(place.number("SELECT count(*) FROM task"), 2);
}

#[tokio::test]
async fn requests_that_share_one_of_their_keys_in_a_commit_are_one_task() {
    let place = Place::new();
    let store = place.open(None).await;
    create_new(&store, transfer("source"), signed("known", 9)).await;
    // One thread polls all before the writer: they share a commit.
    let created = tokio::join!(
        create(&store, transfer("source"), signed("a", 1)),
        create(&store, transfer("source"), signed("a", 2)),
        create(&store, transfer("source"), signed("b", 2)),
        create(&store, transfer("source"), Some(key("b"))),
        create(&store, transfer("source"), None),
        create(&store, transfer("source"), signed("c", 3)),
        create(&store, transfer("source"), signed("known", 4)),
        create(&store, transfer("source"), signed("d", 4)),
    );
    let Ok(Created::New(one)) = created.0 else {
        panic!("{created:?}");
    };
    for again in [created.1, created.2, created.3] {
        assert_eq!(again.unwrap(), Created::Existing(one));
    }
    for new in [created.4, created.5] {
        assert!(matches!(new, Ok(Created::New(_))), "{new:?}");
    }
    assert!(matches!(created.6, Ok(Created::Existing(_))));
    assert_eq!(created.7.unwrap(), created.6.unwrap());
    assert_eq!(place.number("SELECT count(*) FROM task"), 4);
    let dangling =
        "SELECT count(*) FROM idempotency LEFT JOIN task ON id = task_id WHERE id IS NULL";
    assert_eq!(place.number(dangling), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_share_one_of_their_keys_on_two_instances_at_once_are_one_task() {
    let place = Place::new();
    let (one, other) = (place.open(None).await, place.open(None).await);
    for round in 0..40_u8 {
        // Until both are there, neither gets on.
        let lock = place.database.lock("idempotency");
        let ask = |store: &Arc<dyn TaskRepository>, name: &str, signature| {
            let (store, request) = (Arc::clone(store), signed(name, signature));
            tokio::spawn(async move { create(&store, transfer("source"), request).await })
        };
        let name = format!("round-{round}");
        let asked = if round % 2 == 0 {
            [ask(&one, &name, round), ask(&other, &name, round + 100)]
        } else {
            let another = format!("another-{round}");
            [ask(&one, &name, round), ask(&other, &another, round)]
        };
        until("both to wait", async || {
            place.number(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                 AND wait_event_type = 'Lock' AND query LIKE '%WITH limited%'",
            ) == 2
        })
        .await;
        drop(lock);
        let mut tasks = Vec::new();
        for asked in asked {
            match asked.await.unwrap().unwrap() {
                Created::New(id) | Created::Existing(id) => tasks.push(id),
                Created::Mismatch => panic!("a mismatch"),
            }
        }
        assert_eq!(tasks[0], tasks[1], "round {round}");
        assert_eq!(
            place.number("SELECT count(*) FROM task"),
            i64::from(round) + 1
        );
    }
    let dangling =
        "SELECT count(*) FROM idempotency LEFT JOIN task ON id = task_id WHERE id IS NULL";
    assert_eq!(place.number(dangling), 0);
}
