//! The state table of `worker.md`, and the laws of a task's life.

mod any_life;
mod attempts;
mod state_table;

use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::task::retry::RetryPolicy;
use crate::task::{Identifier, NewTask, TaskId, TaskParameters, TenantId};

const TIMEOUT: Duration = Duration::from_secs(24 * 3600);

fn id(text: &str) -> Identifier {
    text.parse().unwrap()
}

fn task(is_import: bool) -> Task {
    let parameters = if is_import {
        TaskParameters::BatchImport {
            result_id: id("r"),
            org_id: id("o"),
            org_user_id: id("u"),
        }
    } else {
        TaskParameters::Transfer {
            src_user_id: id("a"),
            dst_user_id: id("b"),
        }
    };
    let new = NewTask {
        tenant_id: TenantId::from(id("t")),
        user_id: id("u"),
        created_by: None,
        locale: "en-US",
        parameters,
    };
    Task::new(TaskId::new(1).unwrap(), new)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn actor() -> Actor {
    Actor {
        credential: None,
        user_id: id("u"),
    }
}

pub(crate) fn claim(holder: &str) -> Command {
    Command::Claim {
        claim: Claim {
            claim_id: uuid::Uuid::nil(),
            worker: id("w"),
            holder: id(holder),
            lease: Duration::from_secs(60),
        },
        timeout: TIMEOUT,
    }
}

fn report(fence: u32, holder: &str) -> Report {
    Report {
        fence: Fence::new(fence),
        holder: id(holder),
    }
}

fn backoff(max_attempts: u32) -> Backoff {
    let policy = RetryPolicy {
        max_attempts,
        ..RetryPolicy::default()
    };
    policy.backoff(Duration::ZERO)
}

fn code() -> ResultCode {
    "18000205".parse().unwrap()
}

pub(crate) fn complete(fence: u32) -> Command {
    Command::Complete {
        report: report(fence, "h"),
        counts: None,
    }
}

fn fail(fence: u32, is_final: bool) -> Command {
    Command::Fail {
        report: report(fence, "h"),
        code: Some(code()),
        retry: (!is_final).then(|| backoff(5)),
    }
}

fn lose(fence: u32) -> Command {
    Command::LoseLease {
        fence: Fence::new(fence),
        retry: backoff(5),
    }
}

/// A task after these commands, which must all be taken.
pub(crate) fn after(commands: &[Command]) -> Task {
    let mut task = task(true);
    for command in commands {
        task.apply(command, at(1_000_000)).unwrap();
    }
    task
}
