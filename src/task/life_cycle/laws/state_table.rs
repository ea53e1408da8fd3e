//! Every cell of the state table.

use super::*;

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
