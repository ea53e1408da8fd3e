//! What holds at every moment of any life.

use proptest::prelude::*;

use super::*;

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
