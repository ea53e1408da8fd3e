//! Completions of tasks that an instance knows, for it gave them: what it knows may be
//! old, or locked, and is never what counts.

use std::sync::Arc;
use std::time::Duration;

use kootask::task::import::{ImportCounts, ImportFailure};
use kootask::task::life_cycle::{Command, RefusalReason};
use kootask::task::repository::{ApplyError, TaskRepository};
use kootask::task::{Task, TaskStatus};

use super::super::work::{actor, claim, complete, fail, find, heartbeat, many, report, request};
use super::super::{NODE, apply, batch_import, create_many, create_new, transfer};
use super::Place;
use crate::support::until;

const COUNTS: ImportCounts = ImportCounts {
    succeeded: 7,
    failed: 2,
};

/// Two instances, and an import that the first has given to a worker.
async fn given(place: &Place) -> (Arc<dyn TaskRepository>, Arc<dyn TaskRepository>, Task) {
    let (one, other) = (place.open(None).await, place.open(None).await);
    create_new(&one, batch_import("result"), None).await;
    let [task] = <[Task; 1]>::try_from(claim(&one, request(1)).await).unwrap();
    (one, other, task)
}

/// Why a completion is refused.
async fn refused(store: &Arc<dyn TaskRepository>, task: &Task) -> RefusalReason {
    match apply(store, task.id, complete(task)).await {
        Err(ApplyError::Refused(refusal)) => refusal.reason,
        other => panic!("{other:?}"),
    }
}

/// Whether no lease is left.
fn is_ended(place: &Place) -> bool {
    place.database.is_true("NOT EXISTS (SELECT FROM lease)")
}

#[tokio::test]
async fn a_completion_keeps_what_another_instance_has_noted_meanwhile() {
    let place = Place::new();
    let (one, other, task) = given(&place).await;
    let mut progress = heartbeat(&task);
    if let Command::Heartbeat { counts, .. } = &mut progress {
        *counts = Some(COUNTS);
    }
    let rows = vec![ImportFailure {
        user_name: "user".to_owned(),
        description: "why".to_owned(),
    }];
    let failures = Command::RecordFailures {
        report: report(&task),
        from: 0,
        rows,
    };
    for command in [progress, failures, Command::Cancel(actor())] {
        apply(&other, task.id, command).await.unwrap();
    }
    let completed = apply(&one, task.id, complete(&task)).await.unwrap();
    assert_eq!(completed.status, TaskStatus::Success);
    assert_eq!((completed.counts, completed.failure_rows), (COUNTS, 1));
    assert!(completed.cancel_requested);
    assert_eq!(find(&other, task.id).await, completed);
    assert!(is_ended(&place));
    // What is told again is no other end.
    for store in [&one, &other] {
        let again = apply(store, task.id, complete(&task)).await.unwrap();
        assert_eq!(again, completed);
    }
}

#[tokio::test]
async fn a_completion_counts_what_it_says_and_tells_what_is_stored() {
    let place = Place::new();
    let (one, other, task) = given(&place).await;
    let command = Command::Complete {
        report: report(&task),
        counts: Some(COUNTS),
    };
    let completed = apply(&one, task.id, command).await.unwrap();
    assert_eq!(completed.counts, COUNTS);
    assert!(completed.ended_at >= completed.started_at);
    assert_eq!(find(&other, task.id).await, completed);
    assert!(is_ended(&place));
}

#[tokio::test]
async fn a_late_worker_completes_nothing_that_another_instance_has_ended() {
    let place = Place::new();
    let (one, other, task) = given(&place).await;
    apply(&other, task.id, fail(&task, 1)).await.unwrap();
    assert_eq!(refused(&one, &task).await, RefusalReason::Ended);
    assert_eq!(find(&one, task.id).await.status, TaskStatus::Failed);
}

#[tokio::test]
async fn a_late_worker_does_not_complete_the_attempt_of_another() {
    let place = Place::new();
    let (one, other, task) = given(&place).await;
    apply(&other, task.id, Command::Release(report(&task)))
        .await
        .unwrap();
    let mut waiting = request(2);
    waiting.wait = Duration::from_secs(5);
    let [again] = <[Task; 1]>::try_from(claim(&other, waiting).await).unwrap();
    assert_eq!(refused(&one, &task).await, RefusalReason::Superseded);
    apply(&one, task.id, complete(&again)).await.unwrap();
    assert!(is_ended(&place));
}

#[tokio::test]
async fn a_completion_after_the_lease_was_over_is_refused() {
    let place = Place::new();
    let (one, other, task) = given(&place).await;
    place
        .database
        .sql("UPDATE lease SET ends_at = now() - interval '1 s'");
    until("the lease to end", async || {
        find(&other, task.id).await.status == TaskStatus::Waiting
    })
    .await;
    assert_eq!(refused(&one, &task).await, RefusalReason::AttemptOver);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_completion_of_a_task_that_is_locked_elsewhere_holds_up_no_other() {
    let place = Place::new();
    let store = place.open(None).await;
    create_many(&store, 20, |_| (transfer("source"), None)).await;
    let mut tasks = claim(&store, many(1, 20)).await;
    let locked = tasks.pop().unwrap();
    let lock = place.database.hold(&format!(
        "UPDATE task SET locale = locale WHERE id = {}",
        locked.id.get()
    ));
    let waits = {
        let (store, command) = (Arc::clone(&store), complete(&locked));
        tokio::spawn(async move { apply(&store, locked.id, command).await })
    };
    for task in &tasks {
        apply(&store, task.id, complete(task)).await.unwrap();
    }
    assert!(!waits.is_finished());
    drop(lock);
    let completed = waits.await.unwrap().unwrap();
    assert_eq!(completed.status, TaskStatus::Success);
    assert!(is_ended(&place));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn completions_that_were_asked_for_before_the_store_is_closed_are_done() {
    const TASKS: u16 = 100;
    let place = Place::new();
    let store = place.open(None).await;
    create_many(&store, usize::from(TASKS), |_| (transfer("source"), None)).await;
    let tasks = claim(&store, many(1, TASKS)).await;
    // What shares a batch with the task that is locked is left to the writer of commands.
    let lock = place.database.hold(&format!(
        "UPDATE task SET locale = locale WHERE id = {}",
        tasks[0].id.get()
    ));
    let mut completions = tokio::task::JoinSet::new();
    for task in tasks {
        let store = Arc::clone(&store);
        completions.spawn(async move { apply(&store, task.id, complete(&task)).await });
    }
    until("most to be done", async || {
        place.number("SELECT count(*) FROM lease") == 1
    })
    .await;
    let closing = tokio::spawn(async move { store.close().await });
    drop(lock);
    for completed in completions.join_all().await {
        completed.unwrap();
    }
    closing.await.unwrap();
    assert!(is_ended(&place));
}

/// How a statement is done is settled when there are no tasks yet: an index of statuses
/// may look as good as the primary key then, and all that is executed would be read each
/// time.
#[tokio::test]
async fn a_completion_reads_its_task_alone_though_it_was_planned_when_there_were_none() {
    const EXECUTED: i64 = 5_000;
    const COMPLETED: u16 = 50;
    let place = Place::migrated().await;
    place.database.sql(
        "ALTER TABLE task SET (autovacuum_enabled = false);
         ALTER TABLE lease SET (autovacuum_enabled = false)",
    );
    let store = place.open(Some(NODE)).await;
    let first = create_new(&store, transfer("source"), None).await;
    let claimed = claim(&store, request(1)).await;
    apply(&store, first, complete(&claimed[0])).await.unwrap();
    place.database.sql(&format!(
        "INSERT INTO task (node, id, tenant_id, user_id, task_type, status, locale, init_params,
                           src_user_id, fence, success_count, fail_count)
         SELECT 7, ((200000000000 + n) << 23) | (7 << 7), 'another', 'user', 0, 1, 'en-US',
             '{{\"srcUserId\":\"source\",\"dstUserId\":\"recipient\"}}', 'source', 1, 0, 0
         FROM generate_series(0, {EXECUTED} - 1) AS n;
         INSERT INTO lease (node, task_id, fence, tenant_id, holder, claim_id, ends_at)
         SELECT node, id, 1, 'another', 'holder', 'claim', now() + interval '1 h' FROM task
         WHERE status = 1"
    ));
    create_many(&store, usize::from(COMPLETED), |_| {
        (transfer("source"), None)
    })
    .await;
    let tasks = claim(&store, many(2, COMPLETED)).await;
    assert_eq!(tasks.len(), usize::from(COMPLETED));
    for task in &tasks {
        apply(&store, task.id, complete(task)).await.unwrap();
    }
    store.close().await;
    let read = "SELECT sum(idx_tup_read) FROM pg_stat_user_indexes
                WHERE indexrelname IN ('task_pkey', 'task_by_state', 'lease_pkey')";
    until("the statistics of the completions", async || {
        place.number("SELECT n_tup_del FROM pg_stat_user_tables WHERE relname = 'lease'")
            == 1 + i64::from(COMPLETED)
    })
    .await;
    let read = place.number(read);
    // Leases are counted now and then, which reads all of them.
    assert!(read < 10 * EXECUTED, "{read} entries of indexes were read");
}
