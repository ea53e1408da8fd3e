//! The life of a task, as a store keeps it: what a command means is the task's
//! own, see `task::life_cycle`.

use std::time::Duration;

use kootask::task::attempt::{Actor, AttemptEnd, Claim, Fence};
use kootask::task::import::{ImportCounts, ImportFailure};
use kootask::task::life_cycle::{Command, RefusalReason, Report, Step};
use kootask::task::repository::{ApplyError, StoreError};
use kootask::task::scope::{Scope, Target};
use kootask::task::{TaskId, TaskStatus, TaskType};
use uuid::Uuid;

use super::{Backend, contract};
use crate::store::{
    MovedClock, NODE, apply, batch_import, create_new, identifier, step, tenant, transfer,
};

contract! {
    every backend:
    a_step_is_kept_with_its_time,
    a_command_that_is_refused_changes_nothing_and_tells_the_state,
    a_task_outside_the_scope_is_as_good_as_none,
    an_import_tells_how_far_it_is,
    failures_are_read_in_pages_and_belong_to_an_attempt,
    what_happened_to_a_task_is_kept,
    a_closed_store_reads_nothing_and_takes_no_step,
}

contract! {
    durable backends:
    a_life_is_there_after_reopening,
}

const TIMEOUT: Duration = Duration::from_secs(3600);

fn claim() -> Command {
    Command::Claim {
        claim: Claim {
            claim_id: Uuid::from_u128(7),
            worker: identifier("w1"),
            holder: identifier("migrator"),
            lease: Duration::from_secs(60),
        },
        timeout: TIMEOUT,
    }
}

fn report(fence: u32) -> Report {
    Report {
        fence: Fence::new(fence),
        holder: identifier("migrator"),
    }
}

fn actor() -> Actor {
    Actor {
        credential: Some(identifier("admin-console")),
        user_id: identifier("admin"),
    }
}

fn rows(numbers: std::ops::Range<u64>) -> Vec<ImportFailure> {
    numbers
        .map(|number| ImportFailure {
            user_name: format!("user {number}"),
            description: "未知用户".to_owned(),
        })
        .collect()
}

async fn a_step_is_kept_with_its_time(backend: &impl Backend) {
    let clock = MovedClock::new();
    let store = backend.open(&clock, NODE).await;
    let fail = Step::Fail("18000205".parse().unwrap());
    for (last, status) in [
        (Step::Succeed, TaskStatus::Success),
        (fail, TaskStatus::Failed),
    ] {
        let id = create_new(&store, transfer("source"), None).await;
        let mut before = store.find(&tenant(), id).await.unwrap().unwrap();
        for (taken, status) in [(Step::Start, TaskStatus::Executing), (last, status)] {
            let after = step(&store, id, taken).await;
            assert_eq!(after.status, status);
            assert_eq!(
                store.find(&tenant(), id).await.unwrap(),
                Some(after.clone())
            );
            // The rules of the step are the task's own.
            let time = after.ended_at.or(after.started_at).unwrap();
            before.apply(&Command::Step(taken), time).unwrap();
            assert_eq!(after, before);
        }
    }
}

async fn a_command_that_is_refused_changes_nothing_and_tells_the_state(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let id = create_new(&store, transfer("source"), None).await;
    let refused = async |step: Step, found: TaskStatus| {
        let before = store.find(&tenant(), id).await.unwrap();
        match apply(&store, id, Command::Step(step)).await {
            Err(ApplyError::Refused(refusal)) => {
                assert_eq!(refusal.reason, RefusalReason::Status);
                assert_eq!(refusal.found, found);
            }
            other => panic!("not refused: {other:?}"),
        }
        assert_eq!(store.find(&tenant(), id).await.unwrap(), before);
    };
    refused(Step::Succeed, TaskStatus::New).await;
    step(&store, id, Step::Start).await;
    refused(Step::Start, TaskStatus::Executing).await;
    let of_an_import = Step::Progress(ImportCounts::default());
    refused(of_an_import, TaskStatus::Executing).await;
    step(&store, id, Step::Succeed).await;
    let fail = Step::Fail("18000205".parse().unwrap());
    refused(fail, TaskStatus::Success).await;
}

async fn a_task_outside_the_scope_is_as_good_as_none(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let id = create_new(&store, transfer("source"), None).await;
    let imports = Scope {
        task_types: [TaskType::BatchImport].into(),
        ..Scope::everything()
    };
    let another = Scope::tenant(identifier("another").into());
    let nobodys = TaskId::new(1).unwrap();
    for (id, scope) in [(id, imports), (id, another), (nobodys, Scope::everything())] {
        let start = Command::Step(Step::Start);
        let applied = store.apply(Target { id, scope }, start).await;
        assert!(matches!(applied, Err(ApplyError::NoTask)), "{applied:?}");
    }
    let found = store.find(&tenant(), id).await.unwrap().unwrap();
    assert_eq!(found.status, TaskStatus::New);
}

async fn an_import_tells_how_far_it_is(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let id = create_new(&store, batch_import("result"), None).await;
    let counts = async || store.find(&tenant(), id).await.unwrap().unwrap().counts;
    assert_eq!(counts().await, ImportCounts::default());
    step(&store, id, Step::Start).await;
    for succeeded in [1, 5] {
        let so_far = ImportCounts {
            succeeded,
            failed: 1,
        };
        step(&store, id, Step::Progress(so_far)).await;
        assert_eq!(counts().await, so_far);
    }
    step(&store, id, Step::Succeed).await;
    assert_eq!(counts().await.succeeded, 5);
}

async fn failures_are_read_in_pages_and_belong_to_an_attempt(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let id = create_new(&store, batch_import("result"), None).await;
    apply(&store, id, claim()).await.unwrap();
    for from in [0, 0, 50] {
        let record = Command::RecordFailures {
            report: report(1),
            from,
            rows: rows(from..from + 60),
        };
        apply(&store, id, record).await.unwrap();
    }
    let task = store.find(&tenant(), id).await.unwrap().unwrap();
    assert_eq!((task.failure_rows, task.counts.failed), (110, 110));
    let page = store.failures(&task, 100, 8).await.unwrap();
    assert_eq!(page, rows(100..108));
    assert_eq!(store.failures(&task, 0, 1000).await.unwrap(), rows(0..110));
    let task = apply(&store, id, Command::Release(report(1)))
        .await
        .unwrap();
    assert_eq!(task.status, TaskStatus::Waiting);
    // Another attempt begins from the start.
    let task = step(&store, id, Step::Start).await;
    assert_eq!(store.failures(&task, 0, 1000).await.unwrap(), []);
}

async fn what_happened_to_a_task_is_kept(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let id = create_new(&store, transfer("source"), None).await;
    let code = "18000205".parse().unwrap();
    let fail = |fence| Command::Fail {
        report: report(fence),
        code: Some(code),
        retry: None,
    };
    for command in [
        claim(),
        fail(1),
        Command::Retry(actor()),
        Command::Cancel(actor()),
    ] {
        apply(&store, id, command).await.unwrap();
    }
    let task = store.find(&tenant(), id).await.unwrap().unwrap();
    let history = store.history(&task).await.unwrap();
    let [attempt] = &history.attempts[..] else {
        panic!("{history:?}");
    };
    assert_eq!(
        (attempt.fence, attempt.end),
        (Fence::new(1), AttemptEnd::Failed)
    );
    assert_eq!(attempt.code, Some(code));
    assert!(history.actions.iter().all(|action| action.actor == actor()));
    assert_eq!(history.actions.len(), 2);
}

async fn a_closed_store_reads_nothing_and_takes_no_step(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let id = create_new(&store, transfer("source"), None).await;
    store.close().await;
    let found = store.find(&tenant(), id).await;
    assert!(matches!(found, Err(StoreError::Closed)), "{found:?}");
    let start = apply(&store, id, Command::Step(Step::Start)).await;
    let is_closed = matches!(start, Err(ApplyError::Store(StoreError::Closed)));
    assert!(is_closed, "{start:?}");
}

async fn a_life_is_there_after_reopening(backend: &impl Backend) {
    let clock = MovedClock::new();
    let store = backend.open(&clock, NODE).await;
    let id = create_new(&store, batch_import("result"), None).await;
    apply(&store, id, claim()).await.unwrap();
    let record = Command::RecordFailures {
        report: report(1),
        from: 0,
        rows: rows(0..3),
    };
    let last = apply(&store, id, record).await.unwrap();
    store.close().await;
    let store = backend.open(&clock, NODE).await;
    let found = store.find(&tenant(), id).await.unwrap().unwrap();
    assert_eq!(found, last);
    assert_eq!(store.failures(&found, 0, 10).await.unwrap(), rows(0..3));
}
