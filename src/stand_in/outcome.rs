//! What becomes of a task: by a rule, by an id that has a meaning, or else well.
//!
//! Contract: `stand-in.md`, "Rules".

use serde::{Deserialize, Serialize};

use super::progress::{Progress, Wait};
use crate::task::import::{ImportCounts, ImportFailure};
use crate::task::life_cycle::Step;
use crate::task::{Identifier, ResultCode, TaskParameters, TaskType};

/// The users that an import without a rule imports.
const IMPORTED: u64 = 10;
/// The one code that KooDrive publishes.
const USUAL_CODE: u32 = 18_000_205;

/// How a task ends, if it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// Well.
    #[serde(rename = "SUCCESS")]
    Success,
    /// With a result code.
    #[serde(rename = "FAILED")]
    Failed,
    /// It is never started.
    #[serde(rename = "stuck-new")]
    StuckNew,
    /// It never ends.
    #[serde(rename = "stuck-executing")]
    StuckExecuting,
}

/// What a rule says of a task's end.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// How it ends.
    pub end: Option<End>,
    /// Why it fails; it does if this is given alone.
    pub result_code: Option<ResultCode>,
    /// How it comes to it.
    pub progress: Option<Progress>,
    /// What an import has done by then.
    pub result: Option<ResultForm>,
}

/// What an import has done: the failures themselves, or how many there are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResultForm {
    /// The users that were imported.
    #[serde(default)]
    pub success_count: u64,
    /// The users that were not, whose rows are made when they are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_count: Option<u64>,
    /// The users that were not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<Vec<FailureForm>>,
}

/// A user that was not imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FailureForm {
    /// The user's name.
    pub user_name: String,
    /// What was wrong.
    pub desc: String,
}

impl ResultForm {
    /// How many users.
    #[must_use]
    pub fn counts(&self) -> ImportCounts {
        let listed = self.failures.as_ref().map(|rows| rows.len() as u64);
        ImportCounts {
            succeeded: self.success_count,
            failed: self.fail_count.or(listed).unwrap_or(0),
        }
    }

    /// The rows from position `from` on, at most `limit`: those that are listed,
    /// and made ones for the rest.
    #[must_use]
    pub fn rows(&self, from: u64, limit: u32) -> Vec<ImportFailure> {
        let listed = self.failures.as_deref().unwrap_or_default();
        let end = from.saturating_add(limit.into()).min(self.counts().failed);
        let row = |position: u64| {
            let listed = usize::try_from(position).ok().and_then(|at| listed.get(at));
            listed.map_or_else(
                || ImportFailure {
                    user_name: format!("user-{}", position.saturating_add(1)),
                    description: "The user exists.".to_owned(),
                },
                |row| ImportFailure {
                    user_name: row.user_name.clone(),
                    description: row.desc.clone(),
                },
            )
        };
        (from..end).map(row).collect()
    }
}

/// What is meant to become of a task.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// How it comes on.
    pub progress: Progress,
    /// The step that ends it.
    pub end: Step,
    /// What it has done by then, if it is an import.
    pub result: Option<ResultForm>,
}

impl Plan {
    /// What becomes of a task with these parameters: as `outcome` says, or the
    /// ids, or else well; by `progress` unless something else is said.
    #[must_use]
    pub(super) fn of(
        parameters: &TaskParameters,
        progress: Progress,
        outcome: Option<Outcome>,
    ) -> Self {
        let outcome = outcome.unwrap_or_else(|| of_id(parameters));
        let mut progress = outcome.progress.unwrap_or(progress);
        let code = outcome.result_code;
        let end = match (outcome.end, code) {
            (None, Some(_)) => End::Failed,
            (end, _) => end.unwrap_or(End::Success),
        };
        match end {
            End::StuckNew => progress.new = Wait::ByHand,
            End::StuckExecuting => progress.executing = Wait::ByHand,
            End::Success | End::Failed => {}
        }
        let is_import = parameters.task_type() == TaskType::BatchImport;
        let result = is_import.then(|| outcome.result.unwrap_or_else(|| imported(end)));
        Self {
            progress,
            end: match (end, code.or_else(|| ResultCode::new(USUAL_CODE))) {
                (End::Failed, Some(code)) => Step::Fail(code),
                _ => Step::Succeed,
            },
            result,
        }
    }

    /// The step of an import that tells its counts.
    #[must_use]
    pub(super) fn counts(&self) -> Option<Step> {
        let result = self.result.as_ref();
        result.map(|result| Step::Progress(result.counts()))
    }

    /// Whether there are rows to be read once the task has ended.
    #[must_use]
    pub(super) fn has_rows(&self) -> bool {
        let result = self.result.as_ref();
        result.is_some_and(|result| result.counts().failed > 0)
    }
}

fn imported(end: End) -> ResultForm {
    ResultForm {
        success_count: if end == End::Failed { 0 } else { IMPORTED },
        fail_count: None,
        failures: None,
    }
}

/// The outcome that a task's first id means, if it means one.
fn of_id(parameters: &TaskParameters) -> Outcome {
    let (TaskParameters::Transfer {
        src_user_id: id, ..
    }
    | TaskParameters::BatchImport { result_id: id, .. }) = parameters;
    meaning(id).unwrap_or_default()
}

fn meaning(id: &Identifier) -> Option<Outcome> {
    let (_, word) = id.as_str().rsplit_once("--")?;
    let end = |end| {
        Some(Outcome {
            end: Some(end),
            ..Outcome::default()
        })
    };
    match word {
        "fail" => return end(End::Failed),
        "stuck-new" => return end(End::StuckNew),
        "stuck-executing" => return end(End::StuckExecuting),
        _ => {}
    }
    if let Some(code) = word.strip_prefix("fail-") {
        return Some(Outcome {
            result_code: Some(code.parse().ok()?),
            ..Outcome::default()
        });
    }
    let (imported, failed) = word.strip_prefix("rows-")?.split_once('-')?;
    let result = ResultForm {
        success_count: imported.parse().ok()?,
        fail_count: Some(failed.parse().ok()?),
        failures: None,
    };
    Some(Outcome {
        result: Some(result),
        ..Outcome::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transfer(src: &str) -> TaskParameters {
        TaskParameters::Transfer {
            src_user_id: src.parse().unwrap(),
            dst_user_id: "recipient".parse().unwrap(),
        }
    }

    fn import(result: &str) -> TaskParameters {
        TaskParameters::BatchImport {
            result_id: result.parse().unwrap(),
            org_id: "org".parse().unwrap(),
            org_user_id: "user".parse().unwrap(),
        }
    }

    fn plan(parameters: &TaskParameters) -> Plan {
        let progress = "new 1 poll, executing 2 polls".parse().unwrap();
        Plan::of(parameters, progress, None)
    }

    #[test]
    fn ids_with_a_meaning_decide_and_others_do_not() {
        let failed = |code| Step::Fail(ResultCode::new(code).unwrap());
        for (id, end) in [
            ("139", Step::Succeed),
            ("--", Step::Succeed),
            ("a--failed", Step::Succeed),
            ("a-fail", Step::Succeed),
            ("a--fail", failed(18_000_205)),
            ("a--fail-18000999", failed(18_000_999)),
            ("a--fail-19000999", Step::Succeed),
        ] {
            assert_eq!(plan(&transfer(id)).end, end, "{id}");
        }
        assert_eq!(plan(&transfer("a--stuck-new")).progress.new, Wait::ByHand);
        let stuck = plan(&transfer("a--stuck-executing")).progress;
        assert_eq!((stuck.new, stuck.executing), (Wait::Polls(1), Wait::ByHand));
    }

    #[test]
    fn an_import_ends_with_ten_users_or_as_its_id_says() {
        let counts = |id: &str| plan(&import(id)).result.unwrap().counts();
        let of = |succeeded, failed| ImportCounts { succeeded, failed };
        assert_eq!(counts("a"), of(10, 0));
        assert_eq!(counts("a--rows-97-3"), of(97, 3));
        assert_eq!(counts("a--rows-97"), of(10, 0));
        assert_eq!(counts("a--fail"), of(0, 0));
    }

    #[test]
    fn rows_are_made_when_they_are_read() {
        let result = ResultForm {
            success_count: 0,
            fail_count: Some(100_000),
            failures: None,
        };
        let rows = result.rows(99_999, 1000);
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].user_name, "user-100000");
        assert_eq!(result.rows(0, 1000).len(), 1000);
        assert!(result.rows(100_000, 1000).is_empty());
    }
}
