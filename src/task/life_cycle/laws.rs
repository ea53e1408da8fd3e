//! The state table of `worker.md`, and its laws over random lives.

use proptest::prelude::*;

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

fn claim(holder: &str) -> Command {
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

fn complete(fence: u32) -> Command {
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
fn after(commands: &[Command]) -> Task {
    let mut task = task(true);
    for command in commands {
        task.apply(command, at(1_000_000)).unwrap();
    }
    task
}

/// What the table of `worker.md` says of a command in a status.
enum Says {
    Becomes(TaskStatus, Option<ResultCode>),
    /// 200, and nothing changes.
    Repeats,
    Refuses,
}

/// A status, the commands that lead to it, and what the table says in it.
type Row<'a> = (&'a str, &'a [Command], Vec<(Command, Says)>);

#[test]
fn every_cell_of_the_state_table_is_as_the_contract_has_it() {
    use Says::{Becomes, Refuses, Repeats};
    use TaskStatus::{Executing, Failed, Success, Waiting};
    let release = || Command::Release(report(1, "h"));
    let cancel = || Command::Cancel(actor());
    let retry = || Command::Retry(actor());
    let claimed = [claim("h")];
    let waiting = [claim("h"), fail(1, false)];
    let flagged = [claim("h"), cancel()];
    let succeeded = [claim("h"), complete(1)];
    let failed = [claim("h"), fail(1, true)];
    let cancelled = [cancel()];
    let failed_as = |code| Becomes(Failed, Some(code));
    let before_start = ResultCode::CANCELLED_BEFORE_START;
    let by_worker = ResultCode::CANCELLED_BY_WORKER;
    let rows: [Row<'_>; 7] = [
        (
            "NEW",
            &[],
            vec![
                (claim("h"), Becomes(Executing, None)),
                (complete(1), Refuses),
                (fail(1, false), Refuses),
                (fail(1, true), Refuses),
                (release(), Refuses),
                (cancel(), failed_as(before_start)),
                (retry(), Refuses),
            ],
        ),
        (
            "WAITING",
            &waiting,
            vec![
                (claim("h"), Refuses),
                (complete(1), Refuses),
                (fail(1, false), Refuses),
                (fail(1, true), Refuses),
                (release(), Refuses),
                (cancel(), failed_as(before_start)),
                (retry(), Refuses),
            ],
        ),
        (
            "EXECUTING",
            &claimed,
            vec![
                (claim("h"), Refuses),
                (complete(1), Becomes(Success, None)),
                (fail(1, false), Becomes(Waiting, None)),
                (fail(1, true), failed_as(code())),
                (release(), Becomes(Waiting, None)),
                (lose(1), Becomes(Waiting, None)),
                (cancel(), Becomes(Executing, None)),
                (retry(), Refuses),
            ],
        ),
        (
            "EXECUTING, flagged",
            &flagged,
            vec![
                (claim("h"), Refuses),
                (complete(1), Becomes(Success, None)),
                (fail(1, false), failed_as(by_worker)),
                (fail(1, true), failed_as(code())),
                (release(), failed_as(by_worker)),
                (lose(1), failed_as(ResultCode::CANCELLED_WORKER_LOST)),
                (cancel(), Repeats),
                (retry(), Refuses),
            ],
        ),
        (
            "SUCCESS",
            &succeeded,
            vec![
                (claim("h"), Refuses),
                (complete(1), Repeats),
                (complete(2), Refuses),
                (fail(1, false), Refuses),
                (fail(1, true), Refuses),
                (release(), Refuses),
                (cancel(), Refuses),
                (retry(), Refuses),
                (lose(1), Refuses),
            ],
        ),
        (
            "FAILED",
            &failed,
            vec![
                (claim("h"), Refuses),
                (complete(1), Refuses),
                (fail(1, false), Repeats),
                (fail(1, true), Repeats),
                (fail(2, true), Refuses),
                (release(), Refuses),
                (cancel(), Refuses),
                (retry(), Becomes(Waiting, None)),
            ],
        ),
        (
            "FAILED, cancelled",
            &cancelled,
            vec![
                (claim("h"), Refuses),
                (fail(1, true), Refuses),
                (cancel(), Repeats),
                (retry(), Becomes(Waiting, None)),
            ],
        ),
    ];
    for (name, commands, cells) in rows {
        let before = after(commands);
        for (command, says) in cells {
            let mut task = before.clone();
            let effects = task.apply(&command, at(1_000_001));
            match says {
                Becomes(status, code) => {
                    assert!(effects.unwrap().changed, "{name}: {command:?}");
                    assert_eq!(
                        (task.status, task.result_code),
                        (status, code),
                        "{name}: {command:?}"
                    );
                }
                Repeats => {
                    assert_eq!(effects, Ok(Effects::default()), "{name}: {command:?}");
                    assert_eq!(task, before);
                }
                Refuses => {
                    assert_eq!(
                        effects.unwrap_err().found,
                        before.status,
                        "{name}: {command:?}"
                    );
                    assert_eq!(task, before);
                }
            }
        }
    }
}

#[test]
fn the_last_attempt_that_counts_ends_the_task() {
    let mut task = task(false);
    let mut second = 0;
    for fence in 1..=5 {
        second += 10_000;
        task.apply(&claim("h"), at(second)).unwrap();
        task.apply(&lose(fence), at(second + 65)).unwrap();
    }
    assert_eq!(task.status, TaskStatus::Failed);
    assert_eq!(task.result_code, Some(ResultCode::ATTEMPTS_USED_UP));
    task.apply(&Command::Retry(actor()), at(second + 70))
        .unwrap();
    task.apply(&claim("h"), at(second + 70)).unwrap();
    assert_eq!((task.attempts_counted, task.fence), (1, Fence::new(6)));
}

#[test]
fn only_the_credential_that_claimed_a_task_is_believed() {
    let mut task = after(&[claim("h")]);
    let foreign = Command::Complete {
        report: report(1, "other"),
        counts: None,
    };
    let refusal = task.apply(&foreign, at(1_000_001)).unwrap_err();
    assert_eq!(refusal.reason, RefusalReason::Superseded);
}

#[test]
fn rows_that_were_recorded_are_passed_over_and_a_gap_is_refused() {
    let row = |n: u64| ImportFailure {
        user_name: n.to_string(),
        description: String::new(),
    };
    let rows = |from, n: std::ops::Range<u64>| Command::RecordFailures {
        report: report(1, "h"),
        from,
        rows: n.map(row).collect(),
    };
    let mut task = after(&[claim("h")]);
    task.apply(&rows(0, 0..3), at(1_000_001)).unwrap();
    let effects = task.apply(&rows(1, 1..5), at(1_000_001)).unwrap();
    let new = effects.failures.unwrap();
    assert_eq!(
        (new.first, new.rows, task.failure_rows),
        (3, vec![row(3), row(4)], 5)
    );
    assert!(
        task.apply(&rows(2, 2..5), at(1_000_001))
            .unwrap()
            .is_nothing()
    );
    let gap = task.apply(&rows(6, 6..7), at(1_000_001)).unwrap_err();
    assert_eq!(gap.reason, RefusalReason::Gap { next: 5 });
}

#[test]
fn a_heartbeat_never_carries_an_attempt_past_its_time() {
    let mut task = after(&[claim("h")]);
    let beat = Command::Heartbeat {
        report: report(1, "h"),
        counts: None,
        timeout: TIMEOUT,
    };
    let day = 24 * 3600;
    let effects = task.apply(&beat, at(1_000_000 + day - 65)).unwrap();
    assert_eq!(effects.lease, LeaseChange::For(Duration::from_secs(65)));
    // Nothing is promised that the attempt has no time for.
    let refusal = task.apply(&beat, at(1_000_000 + day - 64)).unwrap_err();
    assert_eq!(refusal.reason, RefusalReason::AttemptOver);
}

#[test]
fn progress_is_written_every_five_seconds_at_most() {
    let mut task = after(&[claim("h")]);
    let mut beat = |second: i64, succeeded| {
        let counts = Some(ImportCounts {
            succeeded,
            failed: 0,
        });
        let beat = Command::Heartbeat {
            report: report(1, "h"),
            counts,
            timeout: TIMEOUT,
        };
        task.apply(&beat, at(1_000_000 + second)).unwrap().changed
    };
    assert!(beat(1, 10));
    assert!(!beat(3, 20));
    assert!(!beat(6, 10), "nothing is new");
    assert!(beat(7, 30));
}

fn commands() -> impl Strategy<Value = Vec<(Command, i64)>> {
    let fence = 0_u32..6;
    let holder = prop_oneof![4 => Just("h"), 1 => Just("other")];
    let max = 1_u32..4;
    let report_of = (fence.clone(), holder).prop_map(|(fence, holder)| report(fence, holder));
    let command = prop_oneof![
        4 => prop_oneof![Just("h"), Just("other")].prop_map(claim),
        1 => report_of.clone().prop_map(|report| Command::Heartbeat { report, counts: None, timeout: TIMEOUT }),
        2 => report_of.clone().prop_map(|report| Command::Complete { report, counts: None }),
        2 => (report_of.clone(), max.clone(), any::<bool>()).prop_map(|(report, max, is_final)| {
            Command::Fail { report, code: None, retry: (!is_final).then(|| backoff(max)) }
        }),
        1 => report_of.prop_map(Command::Release),
        2 => (fence, max).prop_map(|(fence, max)| Command::LoseLease { fence: Fence::new(fence), retry: backoff(max) }),
        1 => Just(Command::Cancel(actor())),
        1 => Just(Command::Retry(actor())),
        1 => Just(Command::Step(Step::Start)),
        1 => Just(Command::Step(Step::Succeed)),
        1 => Just(Command::Step(Step::Fail(code()))),
    ];
    proptest::collection::vec((command, 0_i64..20_000), 0..30)
}

proptest! {
    #[test]
    fn the_laws_hold_at_every_moment(commands in commands(), is_import: bool) {
        let mut task = task(is_import);
        let mut second = 1_000_000;
        for (command, passed) in &commands {
            second += passed;
            let before = task.clone();
            let outcome = task.apply(command, at(second));
            prop_assert!(task.fence >= before.fence, "a fence only rises");
            if outcome.is_err() {
                prop_assert_eq!(&task, &before, "a refusal changes nothing");
            }
            if before.status == TaskStatus::Success {
                prop_assert_eq!(&task, &before, "success is for good");
            }
            if before.status == TaskStatus::Failed && task != before {
                prop_assert!(matches!(command, Command::Retry(_)), "only a retry brings it back");
            }
            if task.fence > before.fence {
                prop_assert!(!before.cancel_requested, "no start after a cancel");
                prop_assert!(!before.status.has_ended());
            }
            if let (Command::Complete { report, .. } | Command::Fail { report, .. } | Command::Release(report), true) = (command, task != before) {
                prop_assert_eq!(report.fence, before.fence, "only the current fence ends it");
                prop_assert_eq!(&report.holder, &before.attempt.as_ref().unwrap().claim.holder);
            }
            prop_assert_eq!(task.started_at.is_some(),
                task.status == TaskStatus::Executing || (task.status.has_ended() && task.started_at.is_some()));
            prop_assert_eq!(task.ended_at.is_some(), task.status.has_ended());
            prop_assert_eq!(task.result_code.is_some(), task.status == TaskStatus::Failed);
            prop_assert_eq!(task.due_at.is_some(), task.status == TaskStatus::Waiting);
        }
    }

    #[test]
    fn counted_attempts_never_exceed_the_limit(rounds in proptest::collection::vec(0_u8..3, 0..20)) {
        let mut task = task(false);
        let mut second = 1_000_000;
        for round in rounds {
            second += 10_000;
            if task.apply(&claim("h"), at(second)).is_err() { break; }
            prop_assert!(task.attempts_counted <= 3);
            let fence = task.fence.get();
            let end = match round {
                0 => Command::LoseLease { fence: task.fence, retry: backoff(3) },
                1 => Command::Fail { report: report(fence, "h"), code: None, retry: Some(backoff(3)) },
                _ => Command::Release(report(fence, "h")),
            };
            task.apply(&end, at(second + 1)).unwrap();
        }
    }
}
