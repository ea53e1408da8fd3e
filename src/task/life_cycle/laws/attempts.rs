//! Attempts, their leases, their reports and the last of them.

use super::*;

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
