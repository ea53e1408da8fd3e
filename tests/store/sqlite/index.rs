//! The indexes: a memtable, flushed as sorted runs, which are merged and, where
//! keys expire, deleted.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::SignedDuration;
use kootask::task::idempotency::Idempotency;
use kootask::task::repository::{Created, TaskRepository};
use kootask::task::{NewTask, TaskId};
use rusqlite::Connection;

use super::super::{
    batch_import, create, create_many, create_new, identifier, key, tenant, transfer,
};
use super::{Place, look_into, value};

/// The entries of a run that was not merged.
const RUN: usize = 1 << 16;
/// The creates in which the writer does all the work that a run makes.
const SETTLE: usize = RUN + RUN / 4;

/// The ids in the live runs of an index, and the newest that must be there.
fn indexed(connection: &Connection, kind: u8) -> (BTreeSet<i64>, i64) {
    let mut blocks = connection
        .prepare(
            "SELECT entries FROM index_run JOIN index_block ON index_block.id >> 32 = index_run.id
             WHERE kind = ?1 AND state = 1",
        )
        .unwrap();
    let mut rows = blocks.query([kind]).unwrap();
    let mut ids = BTreeSet::new();
    while let Some(row) = rows.next().unwrap() {
        for entry in row.get_ref(0).unwrap().as_blob().unwrap().chunks_exact(16) {
            let id = i64::from_be_bytes(entry[8..].try_into().unwrap());
            assert!(ids.insert(id), "{id} is there twice");
        }
    }
    let last = "SELECT coalesce(max(last_task_id), 0) FROM index_run WHERE state = 1 AND kind = ";
    (ids, value(connection, &format!("{last}{kind}")))
}

/// Every task has its entry in the runs, up to the newest that was flushed.
#[track_caller]
fn assert_complete(connection: &Connection, kind: u8, table: &str) {
    let (found, last) = indexed(connection, kind);
    let mut rows = connection
        .prepare(&format!("SELECT * FROM {table} WHERE {table}.rowid <= ?1"))
        .unwrap();
    let expected: BTreeSet<i64> = rows
        .query_map([last], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(!expected.is_empty(), "nothing was flushed");
    assert!(
        found == expected,
        "{} entries of {}",
        found.len(),
        expected.len()
    );
}

fn id_of(created: &Created) -> TaskId {
    match created {
        Created::New(id) => *id,
        other => panic!("not a new task: {other:?}"),
    }
}

/// The request of this number; each has a source user and a key of its own.
fn request(number: usize) -> (NewTask, Option<Idempotency>) {
    let key = key(&format!("key-{number}"));
    (transfer(&format!("source-{number}")), Some(key))
}

/// A store that is filled with [`request`]s, and what they became.
struct Filling {
    place: Place,
    store: Arc<dyn TaskRepository>,
    created: Vec<TaskId>,
}

impl Filling {
    async fn new() -> Self {
        let place = Place::new();
        Self {
            store: place.open().await,
            place,
            created: Vec::new(),
        }
    }

    async fn fill_to(&mut self, count: usize) {
        let before = self.created.len();
        let new = create_many(&self.store, count - before, move |n| request(before + n)).await;
        self.created.extend(new.iter().map(id_of));
    }

    /// Fills on until runs of this level are being written, and reopens then.
    async fn reopen_while_writing(&mut self, level: u8) {
        let connection = look_into(&self.place.path());
        let sql = "SELECT count(*) FROM index_run WHERE state = 0 AND kind = 0 AND level =";
        let end = self.created.len() + RUN;
        while value::<i64>(&connection, &format!("{sql} {level}")) == 0 {
            assert!(self.created.len() < end, "no run of level {level} is begun");
            self.fill_to(self.created.len() + 64).await;
        }
        self.reopen().await;
    }

    async fn reopen(&mut self) {
        self.store.close().await;
        self.store = self.place.open().await;
    }

    /// Asks again for some tasks of every age: each is told its first id.
    async fn assert_repeatable(&self) {
        let step = 97;
        let expected: Vec<Created> = self
            .created
            .iter()
            .step_by(step)
            .map(|id| Created::Existing(*id))
            .collect();
        let again = create_many(&self.store, expected.len(), move |n| request(n * step)).await;
        assert!(again == expected, "a key has lost its task");
    }

    /// Looks for the transfers of some source users of every age.
    async fn assert_transfers_are_found(&self) {
        for number in (0..self.created.len()).step_by(997) {
            let user = identifier(&format!("source-{number}"));
            let found = self.store.newest_transfer(&tenant(), &user).await.unwrap();
            assert_eq!(
                found.map(|task| task.id),
                Some(self.created[number]),
                "{user}"
            );
        }
        let nobody = identifier("nobody");
        assert_eq!(
            self.store
                .newest_transfer(&tenant(), &nobody)
                .await
                .unwrap(),
            None
        );
    }
}

/// Runs are flushed and merged beneath 330,000 keys, and begun again where the
/// store was closed midway.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_any_age_is_found_through_flushes_merges_and_reopening() {
    let mut filling = Filling::new().await;
    filling.fill_to(RUN).await;
    filling.reopen_while_writing(0).await;
    filling.fill_to(2 * RUN).await;
    filling.assert_repeatable().await;
    filling.fill_to(4 * RUN).await;
    filling.reopen_while_writing(1).await;
    filling.assert_repeatable().await;
    filling.fill_to(4 * RUN + SETTLE).await;

    let connection = look_into(&filling.place.path());
    for kind in [0, 1] {
        let merged = format!("SELECT max(level) FROM index_run WHERE state = 1 AND kind = {kind}");
        assert!(value::<i64>(&connection, &merged) > 0, "no merge has ended");
    }
    assert_complete(&connection, 0, "idempotency");
    assert_complete(&connection, 1, "task");
    filling.assert_repeatable().await;
    filling.assert_transfers_are_found().await;
    filling.reopen().await;
    filling.assert_repeatable().await;
    filling.assert_transfers_are_found().await;
    let tasks: i64 = value(&connection, "SELECT count(*) FROM task");
    assert_eq!(usize::try_from(tasks), Ok(filling.created.len()));
}

/// Creates go on at their pace while expired keys leave in small shares, so it
/// takes a quarter as many creates as there are keys.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_keys_and_their_runs_are_deleted() {
    let place = Place::new();
    let store = place.open().await;
    let keyed = |n: usize| (batch_import("result"), Some(key(&format!("key-{n}"))));
    let count = RUN + RUN / 8;
    create_many(&store, count, keyed).await;
    let connection = look_into(&place.path());
    assert_complete(&connection, 0, "idempotency");

    place.clock.pass(SignedDuration::from_hours(25));
    let late = create_new(&store, transfer("source"), Some(key("late"))).await;
    create_many(&store, count / 4 + 1024, |_| (batch_import("result"), None)).await;
    let (keys, runs, blocks): (i64, i64, i64) = (
        value(&connection, "SELECT count(*) FROM idempotency"),
        value(&connection, "SELECT count(*) FROM index_run"),
        value(&connection, "SELECT count(*) FROM index_block"),
    );
    assert_eq!((keys, runs, blocks), (1, 0, 0));

    // What has not expired is still known, what has is not, reopened or not.
    let late_again = create(&store, transfer("source"), Some(key("late"))).await;
    assert_eq!(late_again.unwrap(), Created::Existing(late));
    let created = create_many(&store, 100, keyed).await;
    assert!(created.iter().all(|created| id_of(created) > late));
    store.close().await;
    let store = place.open().await;
    let expected: Vec<Created> = created
        .iter()
        .map(|new| Created::Existing(id_of(new)))
        .collect();
    assert_eq!(create_many(&store, 100, keyed).await, expected);
}

/// A run that holds tasks of the future does not hide those that come after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_found_that_were_used_after_a_clock_was_far_ahead() {
    let place = Place::new();
    let store = place.open().await;
    let ten_years = SignedDuration::from_hours(24 * 3650);
    place.clock.move_by(ten_years);
    create_many(&store, SETTLE, request).await;
    assert_complete(&look_into(&place.path()), 0, "idempotency");
    place.clock.move_by(-ten_years);
    let key = || Some(key("late"));
    let late = create_new(&store, transfer("late"), key()).await;
    for _ in 0..2 {
        store.close().await;
        let store = place.open().await;
        let again = create(&store, transfer("late"), key()).await;
        assert_eq!(again.unwrap(), Created::Existing(late));
        let first = create_many(&store, 1, request).await;
        assert!(matches!(first[..], [Created::Existing(_)]), "{first:?}");
        let found = store.newest_transfer(&tenant(), &identifier("late")).await;
        assert_eq!(found.unwrap().map(|task| task.id), Some(late));
        store.close().await;
    }
}
