//! A connection that breaks while a commit is under way leaves its outcome
//! unknown. The writer finds out, and nobody else notices.

use std::sync::Arc;

use kootask::task::TaskId;
use kootask::task::repository::{Created, TaskRepository};

use super::super::{create, create_new, key, key_of_another_body, transfer};
use super::proxy::{Proxy, Rule};
use super::{Place, open};

/// What is in the request that is cut off, and in no other.
const CUT: &str = "the-one-that-is-cut-off";

/// Whether the cut comes before, during or after the commit.
const CUTS: [Rule; 3] = [
    Rule::CutBefore(CUT),
    Rule::CutDuring(CUT),
    Rule::CutAfter(CUT),
];

struct Broken {
    place: Place,
    proxy: Proxy,
    store: Arc<dyn TaskRepository>,
}

impl Broken {
    async fn new() -> Self {
        let place = Place::migrated().await;
        // It takes its time, so that another attempt comes in between.
        place.database.sql(&format!(
            "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 PERFORM pg_sleep(0.3);
                 RETURN NULL;
             END $$;
             CREATE TRIGGER dawdle AFTER INSERT ON task FOR EACH ROW
                 WHEN (new.src_user_id = '{CUT}') EXECUTE FUNCTION dawdle()"
        ));
        let proxy = Proxy::before(&place.database).await;
        let url = place.database.url_through(proxy.port).parse().unwrap();
        let store = open(&url, place.context(None)).await.unwrap();
        Self {
            place,
            proxy,
            store,
        }
    }

    fn tasks(&self) -> i64 {
        self.place.number("SELECT count(*) FROM task")
    }

    fn is_kept(&self, id: TaskId) -> bool {
        let id = id.get();
        let found = format!("SELECT count(*) FROM task WHERE id = {id}");
        self.place.number(&found) == 1
    }
}

#[tokio::test]
async fn a_create_that_is_cut_off_makes_one_task() {
    let broken = Broken::new().await;
    let mut tasks = 0;
    for cut in CUTS {
        for key in [None, Some(key(&format!("{cut:?}")))] {
            broken.proxy.set(cut.clone());
            let id = create_new(&broken.store, transfer(CUT), key).await;
            assert_eq!(broken.proxy.rule(), Rule::Forward, "nothing was cut off");
            tasks += 1;
            assert_eq!(broken.tasks(), tasks, "{cut:?}, keyed: {}", key.is_some());
            assert!(broken.is_kept(id));
            if key.is_some() {
                let again = create(&broken.store, transfer(CUT), key).await;
                assert_eq!(again.unwrap(), Created::Existing(id));
            }
        }
    }
}

/// Each create of a commit has an outcome of its own.
#[tokio::test]
async fn creates_that_are_cut_off_together_each_get_their_answer() {
    let broken = Broken::new().await;
    let store = &broken.store;
    let known = create_new(store, transfer("known"), Some(key("known"))).await;
    for cut in CUTS {
        let tasks = broken.tasks();
        broken.proxy.set(cut.clone());
        let new = format!("{cut:?}");
        let new = Some(key(&new));
        // One thread polls all of them before the writer: they share a commit.
        let (unkeyed, keyed, twin, before, mismatch) = tokio::join!(
            create(store, transfer(CUT), None),
            create(store, transfer("new"), new),
            create(store, transfer("new"), new),
            create(store, transfer("known"), Some(key("known"))),
            create(
                store,
                transfer("another"),
                Some(key_of_another_body("known"))
            ),
        );
        assert_eq!(broken.proxy.rule(), Rule::Forward, "nothing was cut off");
        for created in [unkeyed, keyed.clone()] {
            match created {
                Ok(Created::New(id)) => assert!(broken.is_kept(id), "{cut:?}"),
                other => panic!("{cut:?}: {other:?}"),
            }
        }
        match (keyed, twin) {
            (Ok(Created::New(first)), Ok(second)) => {
                assert_eq!(second, Created::Existing(first), "{cut:?}");
            }
            other => panic!("{cut:?}: {other:?}"),
        }
        assert_eq!(before.unwrap(), Created::Existing(known), "{cut:?}");
        assert_eq!(mismatch.unwrap(), Created::Mismatch, "{cut:?}");
        assert_eq!(broken.tasks(), tasks + 2, "{cut:?}");
    }
}
