//! Work that instances share: what they claim, and what becomes of leases.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use kootask::task::attempt::{AttemptEnd, Fence};
use kootask::task::claim::ClaimRequest;
use kootask::task::life_cycle::Command;
use kootask::task::repository::TaskRepository;
use kootask::task::scope::{Scope, Target};
use kootask::task::{Task, TaskId, TaskStatus};
use tokio::time::Instant;
use uuid::Uuid;

use super::super::work::{actor, claim, complete, find, heartbeat, many, of};
use super::super::{NODE, apply, create_many, create_new, identifier, transfer};
use super::Place;
use crate::support::until;

/// How soon a waiter on one instance gets what another made, and what a busy machine
/// adds.
const MEET: Duration = Duration::from_millis(1_500);

/// A claim of its own for up to `max` tasks.
fn request(max: u16, wait: Duration) -> ClaimRequest {
    ClaimRequest {
        wait,
        ..many(Uuid::new_v4().as_u128(), max)
    }
}

/// Claims one task, which must be there.
async fn claim_one(store: &Arc<dyn TaskRepository>) -> Task {
    let tasks = claim(store, request(1, Duration::from_secs(10))).await;
    let [task] = <[Task; 1]>::try_from(tasks).unwrap();
    task
}

#[tokio::test]
async fn what_one_instance_creates_a_waiter_on_another_gets_within_a_second() {
    let place = Place::new();
    let (one, other) = (place.open(None).await, place.open(None).await);
    for round in 0..4 {
        let waiter = {
            let other = Arc::clone(&other);
            tokio::spawn(async move { claim_one(&other).await })
        };
        // It may have looked already, or not yet.
        tokio::time::sleep(Duration::from_millis(300 * round)).await;
        let created = Instant::now();
        let id = create_new(&one, transfer("source"), None).await;
        assert_eq!(waiter.await.unwrap().id, id);
        let took = created.elapsed();
        assert!(took < MEET, "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_two_instances_hold_one_task() {
    const TASKS: usize = 3_000;
    let place = Place::new();
    let stores = [place.open(None).await, place.open(None).await];
    create_many(&stores[0], TASKS, |_| (transfer("source"), None)).await;
    let mut workers = tokio::task::JoinSet::new();
    for number in 0..8 {
        let store = Arc::clone(&stores[number % 2]);
        workers.spawn(async move {
            let mut claimed = Vec::new();
            loop {
                let tasks = claim(&store, request(7, Duration::from_millis(1_000))).await;
                if tasks.is_empty() {
                    return claimed;
                }
                for task in tasks {
                    claimed.push(task.id);
                    assert_eq!(task.fence, Fence::new(1));
                    apply(&store, task.id, complete(&task)).await.unwrap();
                }
            }
        });
    }
    let claimed = workers.join_all().await.concat();
    assert_eq!(claimed.len(), TASKS);
    assert_eq!(claimed.iter().collect::<HashSet<_>>().len(), TASKS);
    assert_eq!(place.number("SELECT count(*) FROM lease"), 0);
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_gets_the_same_tasks_from_another_instance() {
    let place = Place::new();
    let (one, other) = (place.open(None).await, place.open(None).await);
    for _ in 0..5 {
        create_new(&one, transfer("source"), None).await;
    }
    let asked = request(2, Duration::ZERO);
    let first = claim(&one, asked.clone()).await;
    assert_eq!(first.len(), 2);
    place
        .database
        .sql("UPDATE lease SET ends_at = ends_at - interval '50 s'");
    let mut again = claim(&other, asked.clone()).await;
    again.sort_by_key(|task| task.id);
    assert_eq!(again, first);
    // What is promised with them is promised anew.
    let left = "SELECT min(extract(epoch FROM ends_at - now()))::bigint FROM lease";
    assert!(place.number(left) >= 60, "{}", place.number(left));
    // Another's claim of the same id is its own.
    let mut others = asked;
    others.claim.holder = identifier("another");
    let got = claim(&other, others).await;
    assert!(got.iter().all(|task| !first.contains(task)), "{got:?}");
}

#[tokio::test]
async fn the_leases_of_an_instance_that_is_gone_end_by_the_databases_clock_alone() {
    let place = Place::new();
    let gone = place.open(None).await;
    let id = create_new(&gone, transfer("source"), None).await;
    claim_one(&gone).await;
    gone.close().await;
    place.clock.move_by(SignedDuration::from_hours(24));
    let store = place.open(None).await;
    let waiting = request(1, Duration::from_secs(4));
    assert_eq!(claim(&store, waiting).await, []);
    assert_eq!(find(&store, id).await.status, TaskStatus::Executing);
    place
        .database
        .sql("UPDATE lease SET ends_at = now() + interval '1 s'");
    until("the lease to end", async || {
        find(&store, id).await.status == TaskStatus::Waiting
    })
    .await;
    let task = find(&store, id).await;
    let history = store.history(&task).await.unwrap();
    assert_eq!(history.attempts[0].end, AttemptEnd::Lost);
    assert_eq!(place.number("SELECT count(*) FROM lease"), 0);
    // It was tried once, and is due again in 10 s and up to half of that.
    let due = task
        .due_at
        .unwrap()
        .duration_since(history.attempts[0].ended_at);
    assert!((10..=15).contains(&due.as_secs()), "{due:?}");
}

#[tokio::test]
async fn a_lease_that_was_renewed_in_time_does_not_end() {
    let place = Place::new();
    let (one, other) = (place.open(None).await, place.open(None).await);
    create_new(&one, transfer("source"), None).await;
    let task = claim_one(&one).await;
    for _ in 0..6 {
        place
            .database
            .sql("UPDATE lease SET ends_at = now() + interval '700 ms'");
        tokio::time::sleep(Duration::from_millis(300)).await;
        apply(&other, task.id, heartbeat(&task)).await.unwrap();
    }
    apply(&one, task.id, complete(&task)).await.unwrap();
}

#[tokio::test]
async fn heartbeats_touch_the_lease_alone_and_no_index() {
    const BEATS: i64 = 200;
    let place = Place::new();
    let store = place.open(None).await;
    create_new(&store, transfer("source"), None).await;
    let task = claim_one(&store).await;
    let statistic = |of: &str, table: &str| {
        place.number(&format!(
            "SELECT {of} FROM pg_stat_user_tables WHERE relname = '{table}'"
        ))
    };
    let version = "SELECT ctid, xmin, xmax FROM task";
    let before = place.database.sql(version);
    for _ in 0..BEATS {
        apply(&store, task.id, heartbeat(&task)).await.unwrap();
    }
    store.close().await;
    until("the statistics of the heartbeats", async || {
        statistic("n_tup_upd", "lease") == BEATS
    })
    .await;
    // Pages are pruned between: a few may find theirs full.
    let hot = statistic("n_tup_hot_upd", "lease");
    assert!(hot >= BEATS * 9 / 10, "{hot} of {BEATS}");
    assert_eq!(place.database.sql(version), before);
}

#[tokio::test]
async fn a_claim_that_was_dropped_takes_nothing() {
    let place = Place::new();
    let store = place.open(None).await;
    for _ in 0..20 {
        let waiting = request(1, Duration::from_secs(20));
        let dropped = tokio::time::timeout(Duration::from_millis(20), store.claim(waiting));
        assert!(dropped.await.is_err());
    }
    let id = create_new(&store, transfer("source"), None).await;
    assert_eq!(claim_one(&store).await.id, id);
    assert_eq!(place.number("SELECT count(*) FROM lease"), 1);
}

#[tokio::test]
async fn a_task_that_another_session_has_locked_holds_up_no_other() {
    let place = Place::new();
    let store = place.open(None).await;
    let locked = create_new(&store, transfer("locked"), None).await;
    let free = create_new(&store, transfer("free"), None).await;
    let lock = place.database.hold(&format!(
        "UPDATE task SET locale = locale WHERE id = {}",
        locked.get()
    ));
    assert_eq!(claim_one(&store).await.id, free);
    let cancel = Command::Cancel(actor());
    let cancelled = {
        let (store, cancel) = (Arc::clone(&store), cancel.clone());
        tokio::spawn(async move { apply(&store, locked, cancel).await })
    };
    let task = find(&store, free).await;
    apply(&store, free, complete(&task)).await.unwrap();
    assert!(!cancelled.is_finished());
    drop(lock);
    let cancelled = cancelled.await.unwrap().unwrap();
    assert_eq!(cancelled.status, TaskStatus::Failed);
    assert_eq!(claim(&store, request(1, Duration::ZERO)).await, []);
}

#[tokio::test]
async fn a_task_that_is_not_readable_does_not_keep_the_others_from_being_claimed() {
    let place = Place::new();
    let store = place.open(None).await;
    let damaged = create_new(&store, transfer("damaged"), None).await;
    let whole = create_new(&store, transfer("whole"), None).await;
    place.database.sql(&format!(
        "UPDATE task SET init_params = '{{' WHERE id = {}",
        damaged.get()
    ));
    for max in [1, 2] {
        let claimed = claim(&store, request(max, Duration::ZERO)).await;
        if max == 1 {
            assert_eq!(claimed[0].id, whole);
        } else {
            assert_eq!(claimed, []);
        }
    }
    let target = Target {
        id: damaged,
        scope: Scope::everything(),
    };
    let refused = store
        .apply(target, complete(&find(&store, whole).await))
        .await;
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("init_params"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_task_is_that_of_the_tenant_with_the_fewest_leases_then_the_oldest() {
    let place = Place::new();
    let store = place.open(Some(NODE)).await;
    for (name, count) in [("many", 150), ("few", 3), ("one", 1)] {
        for _ in 0..count {
            create_new(&store, of(name, transfer("source")), None).await;
        }
    }
    let names = |tasks: &[Task]| -> Vec<String> {
        let names = tasks.iter().map(|task| task.tenant_id.as_str().to_owned());
        names.collect()
    };
    let mut first = Vec::new();
    for _ in 0..6 {
        first.extend(claim(&store, request(1, Duration::ZERO)).await);
    }
    assert_eq!(names(&first), ["many", "few", "one", "many", "few", "many"]);
    // Those who have less than their share leave the rest to the others.
    let all = claim(&store, request(100, Duration::ZERO)).await;
    assert_eq!(all.len(), 100);
    assert_eq!(names(&all).iter().filter(|name| *name == "few").count(), 1);
    let of_many: Vec<TaskId> = first
        .iter()
        .chain(&all)
        .filter(|task| task.tenant_id.as_str() == "many")
        .map(|task| task.id)
        .collect();
    assert!(of_many.is_sorted(), "{of_many:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_is_held_does_not_make_claims_slower() {
    const BATCH: u16 = 50;
    let place = Place::new();
    let store = place.open(Some(NODE)).await;
    create_many(&store, 9_000, |_| (transfer("source"), None)).await;
    let snapshot = place.database.hold(
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
         DO $$ BEGIN PERFORM count(*) FROM task; END $$",
    );
    // The index keeps what was claimed, as long as the snapshot may ask for it.
    let mut claimed = 0;
    let mut work = async |claims: i64| {
        let blocks = place.index_blocks(claimed).await;
        for _ in 0..claims {
            let tasks = claim(&store, request(BATCH, Duration::ZERO)).await;
            assert_eq!(tasks.len(), usize::from(BATCH));
            claimed += tasks.len();
        }
        (place.index_blocks(claimed).await - blocks) / claims
    };
    let first = work(20).await;
    work(120).await;
    let last = work(20).await;
    drop(snapshot);
    assert!(last <= first * 3 / 2, "{last} blocks after {first}");
}

impl Place {
    /// How many blocks of the index that claims go through were read so far, when this
    /// many were claimed.
    async fn index_blocks(&self, claimed: usize) -> i64 {
        let inserted = i64::try_from(claimed).unwrap();
        until("the statistics of the claims", async || {
            self.number("SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'lease'")
                == inserted
        })
        .await;
        self.number(
            "SELECT idx_blks_hit + idx_blks_read FROM pg_statio_user_indexes
             WHERE indexrelname = 'task_by_state'",
        )
    }
}
