//! The steps of a task's life.

use kootask::task::life_cycle::Transition;
use kootask::task::repository::StoreError;
use kootask::task::{ImportFailure, ImportResult, Task, TaskId, TaskStatus};

use super::{Backend, contract};
use crate::store::{MovedClock, NODE, batch_import, create_new, tenant, transfer};

contract! {
    every backend:
    a_step_is_kept_with_its_time,
    a_step_that_cannot_be_taken_changes_nothing,
    a_step_of_no_task_is_none,
    an_import_tells_how_far_it_is,
    a_closed_store_reads_nothing_and_takes_no_step,
}

contract! {
    durable backends:
    steps_and_results_are_there_after_reopening,
}

fn result(success_count: u64) -> ImportResult {
    ImportResult {
        success_count,
        fail_count: 1,
        failures: vec![ImportFailure {
            user_name: "someone".to_owned(),
            desc: "未知用户".to_owned(),
        }],
    }
}

async fn a_step_is_kept_with_its_time(backend: &impl Backend) {
    let clock = MovedClock::new();
    let store = backend.open(&clock, NODE).await;
    for (last, status) in [
        (Transition::Succeed, TaskStatus::Success),
        (Transition::Fail("18000205".to_owned()), TaskStatus::Failed),
    ] {
        let id = create_new(&store, transfer("source"), None).await;
        let mut before = store.find(&tenant(), id).await.unwrap().unwrap();
        for (step, status) in [(Transition::Start, TaskStatus::Executing), (last, status)] {
            let after = store.take_step(id, step.clone()).await.unwrap().unwrap();
            assert_eq!(after.status, status);
            assert_eq!(
                store.find(&tenant(), id).await.unwrap(),
                Some(after.clone())
            );
            // The rules of the step are the task's own.
            let time = after.ended_at.or(after.started_at).unwrap();
            before.take(&step, time).unwrap();
            assert_eq!(after, before);
            let now = clock.context(NODE).clock.now();
            assert!(id.created_at() <= time && time <= now, "{time}");
        }
    }
}

async fn a_step_that_cannot_be_taken_changes_nothing(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let id = create_new(&store, transfer("source"), None).await;
    let refused = async |step: Transition| {
        let before = store.find(&tenant(), id).await.unwrap();
        let outcome = store.take_step(id, step).await;
        assert!(
            matches!(outcome, Err(StoreError::Transition(_))),
            "{outcome:?}"
        );
        assert_eq!(store.find(&tenant(), id).await.unwrap(), before);
    };
    refused(Transition::Succeed).await;
    refused(Transition::Progress(result(1))).await;
    store.take_step(id, Transition::Start).await.unwrap();
    refused(Transition::Start).await;
    refused(Transition::Progress(result(1))).await;
    store.take_step(id, Transition::Succeed).await.unwrap();
    refused(Transition::Fail("18000205".to_owned())).await;
    assert_eq!(
        store.import_result(id).await.unwrap(),
        ImportResult::default()
    );
}

async fn a_step_of_no_task_is_none(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let nobodys = TaskId::new(1).unwrap();
    assert_eq!(
        store.take_step(nobodys, Transition::Start).await.unwrap(),
        None
    );
}

async fn an_import_tells_how_far_it_is(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let id = create_new(&store, batch_import("result"), None).await;
    assert_eq!(
        store.import_result(id).await.unwrap(),
        ImportResult::default()
    );
    store.take_step(id, Transition::Start).await.unwrap();
    for success_count in [1, 5] {
        let progress = Transition::Progress(result(success_count));
        store.take_step(id, progress).await.unwrap();
        assert_eq!(
            store.import_result(id).await.unwrap(),
            result(success_count)
        );
    }
    store.take_step(id, Transition::Succeed).await.unwrap();
    assert_eq!(store.import_result(id).await.unwrap(), result(5));
}

async fn a_closed_store_reads_nothing_and_takes_no_step(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let id = create_new(&store, transfer("source"), None).await;
    store.close().await;
    let found = store.find(&tenant(), id).await;
    assert!(matches!(found, Err(StoreError::Closed)), "{found:?}");
    let step = store.take_step(id, Transition::Start).await;
    assert!(matches!(step, Err(StoreError::Closed)), "{step:?}");
}

async fn steps_and_results_are_there_after_reopening(backend: &impl Backend) {
    let clock = MovedClock::new();
    let store = backend.open(&clock, NODE).await;
    let id = create_new(&store, batch_import("result"), None).await;
    let mut last: Option<Task> = None;
    let progress = Transition::Progress(result(3));
    for step in [
        Transition::Start,
        progress,
        Transition::Fail("18000205".to_owned()),
    ] {
        last = store.take_step(id, step).await.unwrap();
    }
    store.close().await;
    let store = backend.open(&clock, NODE).await;
    assert_eq!(store.find(&tenant(), id).await.unwrap(), last);
    assert_eq!(store.import_result(id).await.unwrap(), result(3));
}
