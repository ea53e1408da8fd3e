//! Claims and leases, and what users of other queues complain about.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use jiff::SignedDuration;
use kootask::task::attempt::AttemptEnd;
use kootask::task::claim::{ClaimError, ClaimRequest, LAST_WAIT, MAX_LEASES};
use kootask::task::life_cycle::{Command, RefusalReason};
use kootask::task::repository::{ApplyError, StoreError, TaskRepository};
use kootask::task::retry::RetryPolicy;
use kootask::task::scope::{Scope, Tenants};
use kootask::task::{ResultCode, Task, TaskStatus, TaskType};

use super::{Backend, contract};
use crate::store::work::{
    actor, claim, claim_ids, complete, fail, find, heartbeat, ids, many, nobodys, of, report,
    request, waiting,
};
use crate::store::{
    LIMIT, MovedClock, NODE, apply, batch_import, create_many, create_new, identifier, transfer,
};

contract! {
    every backend:
    the_oldest_task_is_started_first_and_each_once,
    a_claim_gives_only_what_is_in_its_scope,
    the_same_claim_again_gets_the_same_tasks_as_long_as_they_are_held,
    a_waiting_claim_is_answered_when_a_task_is_there,
    one_task_wakes_one_waiter_the_first,
    a_dropped_waiter_does_not_hold_a_place,
    a_service_that_is_about_to_end_lets_nobody_wait_for_long,
    a_retry_of_a_tenants_is_given_to_who_waits,
    a_tenant_with_a_hundred_thousand_tasks_does_not_starve_one_with_one,
    a_credential_holds_so_many_leases_and_no_more,
    more_tasks_than_are_known_are_all_started_in_order,
}

contract! {
    backends whose time is the tests:
    a_lost_answer_that_comes_later_promises_no_more_than_is_kept,
    a_repeated_claim_gets_nothing_else_when_the_time_of_its_attempt_runs_out,
    a_task_is_not_stuck_after_its_worker_crashed,
    a_late_worker_does_not_finish_anothers_attempt,
    a_long_task_does_not_run_twice_while_its_worker_is_heard_of,
    a_rescue_does_not_overwrite_a_completion,
    a_task_that_kills_its_worker_ends_and_others_flow_meanwhile,
    a_deploy_burns_no_attempt,
    a_retry_that_is_due_comes_before_fresh_tasks_and_not_sooner,
    a_cancelled_task_is_never_started,
    a_worker_learns_of_a_cancel_and_may_tell_the_truth,
    what_may_be_started_may_be_so_after_a_start,
}

contract! {
    backends of one process:
    a_claim_that_waited_long_enough_gets_nothing,
    a_wall_clock_that_steps_ends_no_lease,
}

contract! {
    durable backends of one process:
    a_lease_is_whole_after_a_start,
}

/// A claim that waits in its place.
struct Waiter(BoxFuture<'static, Result<Vec<Task>, ClaimError>>);

impl Waiter {
    async fn new(store: &Arc<dyn TaskRepository>, request: ClaimRequest) -> Self {
        let store = Arc::clone(store);
        let mut waiter = Self(Box::pin(async move { store.claim(request).await }));
        waiter.still_waits().await;
        waiter
    }

    async fn still_waits(&mut self) {
        tokio::select! {
            biased;
            answer = &mut self.0 => panic!("answered: {answer:?}"),
            () = std::future::ready(()) => {}
        }
    }

    async fn answer(self) -> Result<Vec<Task>, ClaimError> {
        let answer = tokio::time::timeout(LIMIT, self.0);
        answer.await.expect("the store does not answer")
    }

    async fn tasks(self) -> Vec<Task> {
        self.answer().await.unwrap()
    }
}

/// Has the store look at the clock.
async fn nudge(store: &Arc<dyn TaskRepository>) {
    assert!(claim(store, nobodys()).await.is_empty());
}

/// Lets time pass, and what is due happen.
async fn pass(
    backend: &impl Backend,
    clock: &MovedClock,
    store: &Arc<dyn TaskRepository>,
    seconds: i64,
) {
    let time = SignedDuration::from_secs(seconds);
    backend.pass(clock, store, time).await;
    nudge(store).await;
}

async fn refusal(store: &Arc<dyn TaskRepository>, task: &Task, command: Command) -> RefusalReason {
    match apply(store, task.id, command).await {
        Err(ApplyError::Refused(refusal)) => refusal.reason,
        other => panic!("not refused: {other:?}"),
    }
}

async fn the_oldest_task_is_started_first_and_each_once(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let mut created = Vec::new();
    for _ in 0..5 {
        created.push(create_new(&store, transfer("source"), None).await);
    }
    let claimed = claim(&store, many(1, 3)).await;
    assert_eq!(ids(&claimed), created[..3]);
    for task in &claimed {
        assert_eq!(task.status, TaskStatus::Executing);
        assert_eq!((task.fence.get(), task.attempts_counted), (1, 1));
        assert_eq!(find(&store, task.id).await, *task);
    }
    assert_eq!(claim_ids(&store, many(2, 100)).await, created[3..]);
    assert!(claim(&store, many(3, 100)).await.is_empty());
}

async fn a_claim_gives_only_what_is_in_its_scope(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let transferred = create_new(&store, transfer("source"), None).await;
    let imported = create_new(&store, batch_import("result"), None).await;
    let small = create_new(&store, of("small", transfer("source")), None).await;
    let within = |claim_id, tenants, task_types: &[TaskType]| ClaimRequest {
        scope: Scope {
            tenants,
            task_types: task_types.into(),
        },
        ..many(claim_id, 100)
    };
    let imports = within(1, Tenants::All, &[TaskType::BatchImport]);
    assert_eq!(claim_ids(&store, imports).await, [imported]);
    let nobodys = Tenants::These([identifier("nobody").into()].into());
    assert!(
        claim(&store, within(2, nobodys, &TaskType::ALL))
            .await
            .is_empty()
    );
    let smalls = Tenants::These([identifier("small").into()].into());
    assert_eq!(
        claim_ids(&store, within(3, smalls, &TaskType::ALL)).await,
        [small]
    );
    assert_eq!(claim_ids(&store, many(4, 100)).await, [transferred]);
}

async fn the_same_claim_again_gets_the_same_tasks_as_long_as_they_are_held(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    for _ in 0..4 {
        create_new(&store, transfer("source"), None).await;
    }
    let first = claim(&store, many(1, 2)).await;
    assert_eq!(claim(&store, many(1, 2)).await, first);
    let mut anothers = many(1, 1);
    anothers.claim.holder = identifier("another");
    assert!(!ids(&first).contains(&claim(&store, anothers).await[0].id));
    apply(&store, first[0].id, complete(&first[0]))
        .await
        .unwrap();
    assert_eq!(claim(&store, many(1, 2)).await, first[1..]);
    apply(&store, first[1].id, complete(&first[1]))
        .await
        .unwrap();
    assert_eq!(claim(&store, many(1, 2)).await.len(), 1);
}

async fn a_waiting_claim_is_answered_when_a_task_is_there(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let waiter = Waiter::new(&store, waiting(1)).await;
    let id = create_new(&store, transfer("source"), None).await;
    assert_eq!(ids(&waiter.tasks().await), [id]);
}

async fn one_task_wakes_one_waiter_the_first(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let mut waiters = Vec::new();
    for claim_id in 1..=3 {
        waiters.push(Waiter::new(&store, waiting(claim_id)).await);
    }
    for waiter in waiters.drain(..2).collect::<Vec<_>>() {
        let id = create_new(&store, transfer("source"), None).await;
        assert_eq!(ids(&waiter.tasks().await), [id]);
    }
    nudge(&store).await;
    let mut last = waiters.remove(0);
    last.still_waits().await;
    store.close().await;
    let closed = last.answer().await;
    let is_closed = matches!(closed, Err(ClaimError::Store(StoreError::Closed)));
    assert!(is_closed, "{closed:?}");
}

async fn a_dropped_waiter_does_not_hold_a_place(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    for claim_id in 1..=20 {
        drop(Waiter::new(&store, waiting(claim_id)).await);
    }
    let waiter = Waiter::new(&store, waiting(21)).await;
    let id = create_new(&store, transfer("source"), None).await;
    let claimed = waiter.tasks().await;
    assert_eq!((claimed[0].id, claimed[0].fence.get()), (id, 1));
}

async fn a_service_that_is_about_to_end_lets_nobody_wait_for_long(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let waiter = Waiter::new(&store, waiting(1)).await;
    let begun = Instant::now();
    store.drain();
    assert!(waiter.tasks().await.is_empty());
    assert!(claim(&store, waiting(2)).await.is_empty());
    let took = begun.elapsed();
    assert!(took >= LAST_WAIT && took < 5 * LAST_WAIT, "{took:?}");
    // It does all else as before, and a task that comes is not waited for in vain.
    let waiter = Waiter::new(&store, waiting(3)).await;
    let id = create_new(&store, transfer("source"), None).await;
    assert_eq!(ids(&waiter.tasks().await), [id]);
}

async fn a_claim_that_waited_long_enough_gets_nothing(backend: &impl Backend) {
    let clock = MovedClock::new();
    let store = backend.open(&clock, NODE).await;
    let waiter = Waiter::new(&store, waiting(1)).await;
    pass(backend, &clock, &store, 31).await;
    assert!(waiter.tasks().await.is_empty());
    create_new(&store, transfer("source"), None).await;
    assert_eq!(claim(&store, request(2)).await.len(), 1);
}

async fn a_lost_answer_that_comes_later_promises_no_more_than_is_kept(backend: &impl Backend) {
    let clock = MovedClock::new();
    let store = backend.open(&clock, NODE).await;
    create_new(&store, transfer("source"), None).await;
    let first = claim(&store, request(1)).await;
    pass(backend, &clock, &store, 40).await;
    // It is given for a whole lease from now on, as who asks must think.
    assert_eq!(claim(&store, request(1)).await, first);
    pass(backend, &clock, &store, 55).await;
    apply(&store, first[0].id, complete(&first[0]))
        .await
        .unwrap();
}

/// What is held under its id is all that it may get, and that has no time for the lease
/// that it would be promised.
async fn a_repeated_claim_gets_nothing_else_when_the_time_of_its_attempt_runs_out(
    backend: &impl Backend,
) {
    let clock = MovedClock::new();
    let store = backend.open(&clock, NODE).await;
    for _ in 0..2 {
        create_new(&store, transfer("source"), None).await;
    }
    let mut long = request(1);
    long.claim.lease = RetryPolicy::default().attempt_timeout * 3 / 5;
    let first = claim(&store, long.clone()).await;
    let half = RetryPolicy::default().attempt_timeout.as_secs() / 2;
    pass(backend, &clock, &store, i64::try_from(half).unwrap()).await;
    assert!(claim(&store, long).await.is_empty());
    apply(&store, first[0].id, complete(&first[0]))
        .await
        .unwrap();
    assert_eq!(claim(&store, request(2)).await.len(), 1);
}

async fn a_task_is_not_stuck_after_its_worker_crashed(backend: &impl Backend) {
    let clock = MovedClock::new();
    let store = backend.open(&clock, NODE).await;
    let id = create_new(&store, transfer("source"), None).await;
    claim(&store, request(1)).await;
    pass(backend, &clock, &store, 64).await;
    assert_eq!(find(&store, id).await.status, TaskStatus::Executing);
    pass(backend, &clock, &store, 2).await;
    let lost = find(&store, id).await;
    assert_eq!(lost.status, TaskStatus::Waiting);
    let history = store.history(&lost).await.unwrap();
    assert_eq!(history.attempts[0].end, AttemptEnd::Lost);
    pass(backend, &clock, &store, 16).await;
    let again = claim(&store, request(2)).await;
    assert_eq!((again[0].id, again[0].fence.get()), (id, 2));
}

async fn a_late_worker_does_not_finish_anothers_attempt(backend: &impl Backend) {
    let clock = MovedClock::new();
    let store = backend.open(&clock, NODE).await;
    create_new(&store, transfer("source"), None).await;
    let late = claim(&store, request(1)).await.remove(0);
    pass(backend, &clock, &store, 66).await;
    let reason = refusal(&store, &late, complete(&late)).await;
    assert_eq!(reason, RefusalReason::AttemptOver);
    pass(backend, &clock, &store, 16).await;
    let other = claim(&store, request(2)).await.remove(0);
    for command in [complete(&late), heartbeat(&late), fail(&late, 5)] {
        let reason = refusal(&store, &late, command).await;
        assert_eq!(reason, RefusalReason::Superseded);
    }
    assert_eq!(find(&store, late.id).await, other);
    let ended = apply(&store, other.id, complete(&other)).await.unwrap();
    assert_eq!(ended.status, TaskStatus::Success);
}

async fn a_long_task_does_not_run_twice_while_its_worker_is_heard_of(backend: &impl Backend) {
    let clock = MovedClock::new();
    let store = backend.open(&clock, NODE).await;
    create_new(&store, transfer("source"), None).await;
    let task = claim(&store, request(1)).await.remove(0);
    for number in 0..10 {
        pass(backend, &clock, &store, 60).await;
        apply(&store, task.id, heartbeat(&task)).await.unwrap();
        assert!(claim(&store, request(number + 2)).await.is_empty());
    }
    let ended = apply(&store, task.id, complete(&task)).await.unwrap();
    assert_eq!(ended.attempts_counted, 1);
}

async fn a_rescue_does_not_overwrite_a_completion(backend: &impl Backend) {
    let clock = MovedClock::new();
    let store = backend.open(&clock, NODE).await;
    create_new(&store, transfer("source"), None).await;
    let task = claim(&store, request(1)).await.remove(0);
    // The end of the lease and the completion meet.
    let lease = SignedDuration::from_secs(66);
    backend.pass(&clock, &store, lease).await;
    let ended = apply(&store, task.id, complete(&task)).await;
    let found = find(&store, task.id).await;
    match ended {
        Ok(ended) => assert_eq!((ended.status, &found), (TaskStatus::Success, &ended)),
        Err(error) => {
            assert!(matches!(error, ApplyError::Refused(_)), "{error:?}");
            assert_eq!(found.status, TaskStatus::Waiting);
        }
    }
    pass(backend, &clock, &store, 3600).await;
    assert_eq!(find(&store, task.id).await, found);
}

async fn a_task_that_kills_its_worker_ends_and_others_flow_meanwhile(backend: &impl Backend) {
    let clock = MovedClock::new();
    let store = backend.open(&clock, NODE).await;
    let poison = create_new(&store, transfer("poison"), None).await;
    let limit = RetryPolicy::default().max_attempts;
    for attempt in 1..=u128::from(limit) {
        let other = create_new(&store, transfer("source"), None).await;
        let claimed = claim(&store, many(attempt, 2)).await;
        assert_eq!(ids(&claimed), [poison, other]);
        apply(&store, other, complete(&claimed[1])).await.unwrap();
        pass(backend, &clock, &store, 66).await;
        pass(backend, &clock, &store, 3600 * 2).await;
    }
    let ended = find(&store, poison).await;
    assert_eq!(ended.status, TaskStatus::Failed);
    assert_eq!(ended.result_code, Some(ResultCode::ATTEMPTS_USED_UP));
    assert_eq!(ended.attempts_counted, limit);
    let history = store.history(&ended).await.unwrap();
    assert_eq!(history.attempts.len(), limit as usize);
    assert!(claim(&store, request(100)).await.is_empty());
}

async fn a_deploy_burns_no_attempt(backend: &impl Backend) {
    let clock = MovedClock::new();
    let store = backend.open(&clock, NODE).await;
    let id = create_new(&store, transfer("source"), None).await;
    for claim_id in 1..=10 {
        let task = claim(&store, request(claim_id)).await.remove(0);
        let released = apply(&store, id, Command::Release(report(&task))).await;
        assert_eq!(released.unwrap().attempts_counted, 0);
        assert!(claim(&store, request(100)).await.is_empty());
        pass(backend, &clock, &store, 1).await;
    }
}

async fn a_retry_that_is_due_comes_before_fresh_tasks_and_not_sooner(backend: &impl Backend) {
    let clock = MovedClock::new();
    let store = backend.open(&clock, NODE).await;
    let first = create_new(&store, transfer("source"), None).await;
    let task = claim(&store, request(1)).await.remove(0);
    apply(&store, first, fail(&task, 5)).await.unwrap();
    let second = create_new(&store, transfer("source"), None).await;
    let third = create_new(&store, transfer("source"), None).await;
    assert_eq!(claim_ids(&store, request(2)).await, [second]);
    pass(backend, &clock, &store, 10).await;
    assert_eq!(claim_ids(&store, request(3)).await, [first]);
    assert_eq!(claim_ids(&store, request(4)).await, [third]);
}

async fn a_retry_of_a_tenants_is_given_to_who_waits(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let id = create_new(&store, transfer("source"), None).await;
    let task = claim(&store, request(1)).await.remove(0);
    let failed = apply(&store, id, fail(&task, 1)).await.unwrap();
    assert_eq!(failed.status, TaskStatus::Failed);
    let waiter = Waiter::new(&store, waiting(2)).await;
    apply(&store, id, Command::Retry(actor())).await.unwrap();
    let claimed = waiter.tasks().await;
    assert_eq!((claimed[0].id, claimed[0].fence.get()), (id, 2));
}

async fn a_tenant_with_a_hundred_thousand_tasks_does_not_starve_one_with_one(
    backend: &impl Backend,
) {
    let store = backend.open_with(&MovedClock::new(), 100_000).await;
    let small = create_new(&store, of("small", transfer("source")), None).await;
    let claimed = claim_ids(&store, many(1, 2)).await;
    assert_eq!(claimed[1], small, "the one that holds nothing");
    // And again, though the other waits longer.
    claim(&store, many(2, 50)).await;
    let small = create_new(&store, of("small", transfer("source")), None).await;
    assert_eq!(claim_ids(&store, request(3)).await, [small]);
}

async fn a_cancelled_task_is_never_started(backend: &impl Backend) {
    let clock = MovedClock::new();
    let store = backend.open(&clock, NODE).await;
    let fresh = create_new(&store, transfer("source"), None).await;
    apply(&store, fresh, Command::Cancel(actor()))
        .await
        .unwrap();
    let waits = create_new(&store, transfer("source"), None).await;
    let task = claim(&store, request(1)).await.remove(0);
    assert_eq!(task.id, waits);
    apply(&store, waits, fail(&task, 5)).await.unwrap();
    apply(&store, waits, Command::Cancel(actor()))
        .await
        .unwrap();
    pass(backend, &clock, &store, 3600).await;
    assert!(claim(&store, many(2, 100)).await.is_empty());
    for id in [fresh, waits] {
        let ended = find(&store, id).await;
        assert_eq!(ended.result_code, Some(ResultCode::CANCELLED_BEFORE_START));
    }
}

async fn a_worker_learns_of_a_cancel_and_may_tell_the_truth(backend: &impl Backend) {
    let clock = MovedClock::new();
    let store = backend.open(&clock, NODE).await;
    create_new(&store, transfer("source"), None).await;
    create_new(&store, transfer("source"), None).await;
    let claimed = claim(&store, many(1, 2)).await;
    for task in &claimed {
        apply(&store, task.id, Command::Cancel(actor()))
            .await
            .unwrap();
        let heard = apply(&store, task.id, heartbeat(task)).await.unwrap();
        assert!(heard.cancel_requested);
    }
    let done = apply(&store, claimed[0].id, complete(&claimed[0])).await;
    assert_eq!(done.unwrap().status, TaskStatus::Success);
    pass(backend, &clock, &store, 66).await;
    let lost = find(&store, claimed[1].id).await;
    assert_eq!(lost.result_code, Some(ResultCode::CANCELLED_WORKER_LOST));
}

async fn a_credential_holds_so_many_leases_and_no_more(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    create_many(&store, MAX_LEASES + 1, |_| (transfer("source"), None)).await;
    let mut last = None;
    for claim_id in 0..(MAX_LEASES / 100) as u128 {
        let claimed = claim(&store, many(claim_id, 100)).await;
        assert_eq!(claimed.len(), 100);
        last = claimed.into_iter().next_back();
    }
    let refused = store.claim(request(1_000_000)).await;
    assert!(
        matches!(refused, Err(ClaimError::TooManyLeases)),
        "{refused:?}"
    );
    let last = last.unwrap();
    apply(&store, last.id, complete(&last)).await.unwrap();
    assert_eq!(claim(&store, many(1_000_001, 100)).await.len(), 1);
}

async fn more_tasks_than_are_known_are_all_started_in_order(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    create_many(&store, 3_000, |_| (transfer("source"), None)).await;
    let mut all = Vec::new();
    loop {
        let claimed = claim_ids(&store, many(all.len() as u128, 100)).await;
        if claimed.is_empty() {
            break;
        }
        all.extend(claimed);
        if all.len() == 1_500 {
            // Behind all that are known.
            create_new(&store, transfer("source"), None).await;
        }
    }
    assert_eq!(all.len(), 3_001);
    assert!(all.is_sorted_by(|one, next| one < next));
}

async fn a_wall_clock_that_steps_ends_no_lease(backend: &impl Backend) {
    let clock = MovedClock::new();
    let store = backend.open(&clock, NODE).await;
    let id = create_new(&store, transfer("source"), None).await;
    let task = claim(&store, request(1)).await.remove(0);
    for hours in [5, -10, 5] {
        clock.move_by(SignedDuration::from_hours(hours));
        nudge(&store).await;
        assert_eq!(find(&store, id).await.status, TaskStatus::Executing);
    }
    apply(&store, id, fail(&task, 5)).await.unwrap();
    // A retry is due by the wall clock; one that steps back and forth loses none.
    clock.move_by(SignedDuration::from_hours(1));
    nudge(&store).await;
    clock.move_by(SignedDuration::from_hours(-1));
    assert!(claim(&store, request(2)).await.is_empty());
    pass(backend, &clock, &store, 10).await;
    assert_eq!(claim_ids(&store, request(3)).await, [id]);
}

async fn a_lease_is_whole_after_a_start(backend: &impl Backend) {
    let clock = MovedClock::new();
    let store = backend.open(&clock, NODE).await;
    for _ in 0..2 {
        create_new(&store, transfer("source"), None).await;
    }
    let claimed = claim(&store, many(1, 2)).await;
    pass(backend, &clock, &store, 60).await;
    store.close().await;

    let store = backend.open(&clock, NODE).await;
    pass(backend, &clock, &store, 60).await;
    for task in &claimed {
        assert_eq!(find(&store, task.id).await, *task);
    }
    apply(&store, claimed[0].id, heartbeat(&claimed[0]))
        .await
        .unwrap();
    pass(backend, &clock, &store, 10).await;
    let states = [
        find(&store, claimed[0].id).await.status,
        find(&store, claimed[1].id).await.status,
    ];
    assert_eq!(states, [TaskStatus::Executing, TaskStatus::Waiting]);
}

async fn what_may_be_started_may_be_so_after_a_start<B: Backend>(backend: &B) {
    if !B::IS_DURABLE {
        return;
    }
    let clock = MovedClock::new();
    let store = backend.open(&clock, NODE).await;
    let mut created = Vec::new();
    for _ in 0..4 {
        created.push(create_new(&store, transfer("source"), None).await);
    }
    let claimed = claim(&store, many(1, 2)).await;
    apply(&store, claimed[0].id, fail(&claimed[0], 5))
        .await
        .unwrap();
    apply(&store, claimed[1].id, complete(&claimed[1]))
        .await
        .unwrap();
    store.close().await;

    let store = backend.open(&clock, NODE).await;
    assert_eq!(claim_ids(&store, many(2, 100)).await, created[2..]);
    pass(backend, &clock, &store, 10).await;
    assert_eq!(claim_ids(&store, many(3, 100)).await, created[..1]);
}
