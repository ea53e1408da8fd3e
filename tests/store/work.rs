//! Work as the tests of stores ask for it: claims, reports, and what is left of them.

use std::sync::Arc;
use std::time::Duration;

use kootask::task::attempt::{Actor, Claim};
use kootask::task::claim::ClaimRequest;
use kootask::task::life_cycle::{Command, Report};
use kootask::task::repository::TaskRepository;
use kootask::task::retry::{Backoff, RetryPolicy};
use kootask::task::scope::Scope;
use kootask::task::{NewTask, Task, TaskId, TenantId};
use uuid::Uuid;

use super::{LIMIT, identifier, tenant};

/// A claim by the credential «migrator» for a minute, of one task of anybody's, that
/// does not wait.
pub(super) fn request(claim_id: u128) -> ClaimRequest {
    ClaimRequest {
        claim: Claim {
            claim_id: Uuid::from_u128(claim_id),
            worker: identifier("w1"),
            holder: identifier("migrator"),
            lease: Duration::from_secs(60),
        },
        scope: Scope::everything(),
        max: 1,
        wait: Duration::ZERO,
    }
}

/// The same, of up to `max` tasks.
pub(super) fn many(claim_id: u128, max: u16) -> ClaimRequest {
    ClaimRequest {
        max,
        ..request(claim_id)
    }
}

/// A claim that waits as long as one may.
pub(super) fn waiting(claim_id: u128) -> ClaimRequest {
    ClaimRequest {
        wait: Duration::from_secs(30),
        ..request(claim_id)
    }
}

/// A claim that gets nothing: its tenant has no tasks.
pub(super) fn nobodys() -> ClaimRequest {
    ClaimRequest {
        scope: Scope::tenant(identifier("nobody").into()),
        ..request(0)
    }
}

/// Claims within [`LIMIT`].
pub(super) async fn claim(store: &Arc<dyn TaskRepository>, request: ClaimRequest) -> Vec<Task> {
    let claimed = tokio::time::timeout(LIMIT, store.claim(request));
    claimed.await.expect("the store does not answer").unwrap()
}

pub(super) async fn claim_ids(
    store: &Arc<dyn TaskRepository>,
    request: ClaimRequest,
) -> Vec<TaskId> {
    ids(&claim(store, request).await)
}

pub(super) fn ids(tasks: &[Task]) -> Vec<TaskId> {
    tasks.iter().map(|task| task.id).collect()
}

/// A report of the attempt that runs, by whoever holds it.
pub(super) fn report(task: &Task) -> Report {
    let attempt = task.attempt.as_ref().expect("a task that was started");
    Report {
        fence: task.fence,
        holder: attempt.claim.holder.clone(),
    }
}

pub(super) fn complete(task: &Task) -> Command {
    Command::Complete {
        report: report(task),
        counts: None,
    }
}

pub(super) fn heartbeat(task: &Task) -> Command {
    Command::Heartbeat {
        report: report(task),
        counts: None,
        timeout: RetryPolicy::default().attempt_timeout,
    }
}

/// A failure after which it is tried again, in 10 s after the first.
pub(super) fn fail(task: &Task, max_attempts: u32) -> Command {
    Command::Fail {
        report: report(task),
        code: None,
        retry: Some(Backoff {
            max_attempts,
            at_least: Duration::ZERO,
            chance: 0,
        }),
    }
}

pub(super) fn actor() -> Actor {
    Actor {
        credential: None,
        user_id: identifier("admin"),
    }
}

/// The task of [`tenant`], which is there.
pub(super) async fn find(store: &Arc<dyn TaskRepository>, id: TaskId) -> Task {
    store.find(&tenant(), id).await.unwrap().unwrap()
}

/// The same for a tenant of this name.
pub(super) fn of(name: &str, task: NewTask) -> NewTask {
    NewTask {
        tenant_id: TenantId::from(identifier(name)),
        ..task
    }
}
