//! A task as a row of a SQL database: which numbers and texts stand for what.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::task::attempt::{
    Action, ActionKind, Actor, Attempt, AttemptEnd, Claim, EndedAttempt, Fence, History,
};
use crate::task::idempotency::Idempotency;
use crate::task::import::{ImportCounts, ImportFailure};
use crate::task::repository::StoreError;
use crate::task::{Identifier, NewTask, Task, TaskId, TaskParameters, TaskStatus, TaskType};

/// A create that has no id yet.
pub(super) struct Request {
    pub(super) task: NewTask,
    pub(super) idempotency: Option<Idempotency>,
}

impl Request {
    /// The row of this request.
    pub(super) fn under(self, id: TaskId) -> NewRow {
        NewRow {
            id,
            task: self.task,
            idempotency: self.idempotency,
        }
    }
}

/// A task to be kept, under its id.
pub(super) struct NewRow {
    pub(super) id: TaskId,
    pub(super) task: NewTask,
    pub(super) idempotency: Option<Idempotency>,
}

impl NewRow {
    /// What was asked for, to be kept under another id.
    pub(super) fn into_request(self) -> Request {
        Request {
            task: self.task,
            idempotency: self.idempotency,
        }
    }
}

/// A value that is stored as a number, one for each variant and for good.
pub(super) trait Code: Copy + PartialEq + Sized + 'static {
    const CODES: &'static [(Self, i16)];

    /// The number that stands for this.
    fn code(self) -> i16 {
        let found = Self::CODES.iter().find(|(value, _)| *value == self);
        // Every variant has one: see the tests.
        found.map_or(i16::MAX, |(_, code)| *code)
    }

    /// What this number stands for.
    fn from_code(code: i64) -> Option<Self> {
        let found = Self::CODES
            .iter()
            .find(|(_, known)| i64::from(*known) == code);
        found.map(|(value, _)| *value)
    }

    /// The numbers, for `IN (…)`.
    fn all_codes() -> String {
        let codes: Vec<String> = Self::CODES
            .iter()
            .map(|(_, code)| code.to_string())
            .collect();
        codes.join(", ")
    }
}

impl Code for TaskType {
    const CODES: &'static [(Self, i16)] = &[(Self::TransferAndDeletion, 0), (Self::BatchImport, 1)];
}

impl Code for TaskStatus {
    const CODES: &'static [(Self, i16)] = &[
        (Self::New, 0),
        (Self::Executing, 1),
        (Self::Success, 2),
        (Self::Failed, 3),
        (Self::Waiting, 4),
    ];
}

impl Code for AttemptEnd {
    const CODES: &'static [(Self, i16)] = &[
        (Self::Succeeded, 0),
        (Self::Failed, 1),
        (Self::Released, 2),
        (Self::Lost, 3),
    ];
}

impl Code for ActionKind {
    const CODES: &'static [(Self, i16)] = &[(Self::Cancel, 0), (Self::Retry, 1)];
}

/// The parameters of a transfer, as JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TransferParameters<'a> {
    #[serde(borrow)]
    src_user_id: Cow<'a, str>,
    #[serde(borrow)]
    dst_user_id: Cow<'a, str>,
}

/// The parameters of a batch import, as JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ImportParameters<'a> {
    #[serde(borrow)]
    result_id: Cow<'a, str>,
    #[serde(borrow)]
    org_id: Cow<'a, str>,
    #[serde(borrow)]
    org_user_id: Cow<'a, str>,
}

/// The column `init_params`: the parameters as a JSON object.
pub(super) fn write_parameters(parameters: &TaskParameters) -> serde_json::Result<String> {
    fn text(id: &Identifier) -> Cow<'_, str> {
        Cow::Borrowed(id.as_str())
    }
    match parameters {
        TaskParameters::Transfer {
            src_user_id,
            dst_user_id,
        } => serde_json::to_string(&TransferParameters {
            src_user_id: text(src_user_id),
            dst_user_id: text(dst_user_id),
        }),
        TaskParameters::BatchImport {
            result_id,
            org_id,
            org_user_id,
        } => serde_json::to_string(&ImportParameters {
            result_id: text(result_id),
            org_id: text(org_id),
            org_user_id: text(org_user_id),
        }),
    }
}

/// The parameters of a task of this type; `None` if the text is not of such.
pub(super) fn read_parameters(task_type: TaskType, json: &str) -> Option<TaskParameters> {
    fn id(text: &str) -> Option<Identifier> {
        text.parse().ok()
    }
    Some(match task_type {
        TaskType::TransferAndDeletion => {
            let read: TransferParameters<'_> = serde_json::from_str(json).ok()?;
            TaskParameters::Transfer {
                src_user_id: id(&read.src_user_id)?,
                dst_user_id: id(&read.dst_user_id)?,
            }
        }
        TaskType::BatchImport => {
            let read: ImportParameters<'_> = serde_json::from_str(json).ok()?;
            TaskParameters::BatchImport {
                result_id: id(&read.result_id)?,
                org_id: id(&read.org_id)?,
                org_user_id: id(&read.org_user_id)?,
            }
        }
    })
}

/// The columns of `task`, in the order of [`TaskRow::COLUMNS`].
#[derive(sqlx::FromRow)]
pub(super) struct TaskRow {
    pub(super) id: i64,
    pub(super) tenant_id: String,
    pub(super) user_id: String,
    pub(super) task_type: i64,
    pub(super) status: i64,
    pub(super) locale: String,
    pub(super) init_params: String,
    pub(super) result_code: Option<String>,
    pub(super) started_at: Option<i64>,
    pub(super) ended_at: Option<i64>,
    pub(super) created_by: Option<String>,
    pub(super) fence: Option<i64>,
    pub(super) attempts_counted: Option<i64>,
    pub(super) claim_id: Option<String>,
    pub(super) worker: Option<String>,
    pub(super) holder: Option<String>,
    pub(super) lease_seconds: Option<i64>,
    pub(super) claimed_at: Option<i64>,
    pub(super) progress_at: Option<i64>,
    pub(super) due_at: Option<i64>,
    pub(super) cancel_requested: Option<i64>,
    pub(super) success_count: Option<i64>,
    pub(super) fail_count: Option<i64>,
    pub(super) failure_rows: Option<i64>,
}

/// A row that no version of this program wrote.
#[derive(Debug, thiserror::Error)]
#[error("task {id} is not readable: {column} is wrong")]
pub(super) struct CorruptRow {
    id: i64,
    column: &'static str,
}

impl From<CorruptRow> for StoreError {
    fn from(error: CorruptRow) -> Self {
        Self::Corrupt(std::sync::Arc::new(error))
    }
}

impl TaskRow {
    /// What a query must select.
    pub(super) const COLUMNS: &'static str = "id, tenant_id, user_id, \
         CAST(task_type AS bigint) AS task_type, CAST(status AS bigint) AS status, locale, \
         init_params, result_code, started_at, ended_at, created_by, fence, attempts_counted, \
         claim_id, worker, holder, lease_seconds, claimed_at, progress_at, due_at, \
         cancel_requested, success_count, fail_count, failure_rows";

    /// The columns that a command can change, of a task as it is now.
    pub(super) fn of(task: &Task) -> Changeable<'_> {
        let claim = task.attempt.as_ref().map(|attempt| &attempt.claim);
        let attempt = task.attempt.as_ref();
        Changeable {
            status: task.status.code(),
            result_code: task.result_code.map(|code| code.to_string()),
            started_at: millis(task.started_at),
            ended_at: millis(task.ended_at),
            fence: i64::from(task.fence.get()),
            attempts_counted: i64::from(task.attempts_counted),
            claim_id: claim.map(|claim| claim.claim_id.to_string()),
            worker: claim.map(|claim| claim.worker.as_str()),
            holder: claim.map(|claim| claim.holder.as_str()),
            lease_seconds: claim.map(|claim| number(claim.lease.as_secs())),
            claimed_at: attempt.map(|attempt| attempt.started_at.as_millisecond()),
            progress_at: millis(attempt.and_then(|attempt| attempt.progress_at)),
            due_at: millis(task.due_at),
            cancel_requested: task.cancel_requested.then_some(1),
            success_count: number(task.counts.succeeded),
            fail_count: number(task.counts.failed),
            failure_rows: number(task.failure_rows),
        }
    }

    pub(super) fn into_task(self) -> Result<Task, CorruptRow> {
        let id = self.id;
        let corrupt = |column| CorruptRow { id, column };
        let time = |millis: Option<i64>, column| {
            millis
                .map(Timestamp::from_millisecond)
                .transpose()
                .map_err(|_| corrupt(column))
        };
        let count = |number: Option<i64>, column| {
            u64::try_from(number.unwrap_or(0)).map_err(|_| corrupt(column))
        };
        let small = |number: Option<i64>, column| {
            u32::try_from(number.unwrap_or(0)).map_err(|_| corrupt(column))
        };
        let tenant_id: Identifier = self.tenant_id.parse().map_err(|_| corrupt("tenant_id"))?;
        let task_type = TaskType::from_code(self.task_type).ok_or(corrupt("task_type"))?;
        let created_by = self.created_by.as_deref().map(str::parse).transpose();
        let code = self.result_code.as_deref().map(str::parse).transpose();
        Ok(Task {
            id: TaskId::new(id).ok_or(corrupt("id"))?,
            tenant_id: tenant_id.into(),
            user_id: self.user_id.parse().map_err(|_| corrupt("user_id"))?,
            parameters: read_parameters(task_type, &self.init_params)
                .ok_or(corrupt("init_params"))?,
            status: TaskStatus::from_code(self.status).ok_or(corrupt("status"))?,
            result_code: code.map_err(|_| corrupt("result_code"))?,
            started_at: time(self.started_at, "started_at")?,
            ended_at: time(self.ended_at, "ended_at")?,
            created_by: created_by.map_err(|_| corrupt("created_by"))?,
            fence: Fence::new(small(self.fence, "fence")?),
            attempts_counted: small(self.attempts_counted, "attempts_counted")?,
            due_at: time(self.due_at, "due_at")?,
            cancel_requested: self.cancel_requested.is_some(),
            counts: ImportCounts {
                succeeded: count(self.success_count, "success_count")?,
                failed: count(self.fail_count, "fail_count")?,
            },
            failure_rows: count(self.failure_rows, "failure_rows")?,
            attempt: self.attempt()?,
            locale: self.locale,
        })
    }

    /// The attempt that runs, or the last one.
    fn attempt(&self) -> Result<Option<Attempt>, CorruptRow> {
        let corrupt = |column| CorruptRow {
            id: self.id,
            column,
        };
        let (Some(claim_id), Some(worker), Some(holder), Some(lease), Some(claimed_at)) = (
            &self.claim_id,
            &self.worker,
            &self.holder,
            self.lease_seconds,
            self.claimed_at,
        ) else {
            return Ok(None);
        };
        let progress_at = self.progress_at.map(Timestamp::from_millisecond);
        Ok(Some(Attempt {
            claim: Claim {
                claim_id: Uuid::try_parse(claim_id).map_err(|_| corrupt("claim_id"))?,
                worker: worker.parse().map_err(|_| corrupt("worker"))?,
                holder: holder.parse().map_err(|_| corrupt("holder"))?,
                lease: Duration::from_secs(
                    u64::try_from(lease).map_err(|_| corrupt("lease_seconds"))?,
                ),
            },
            started_at: Timestamp::from_millisecond(claimed_at)
                .map_err(|_| corrupt("claimed_at"))?,
            progress_at: progress_at
                .transpose()
                .map_err(|_| corrupt("progress_at"))?,
        }))
    }
}

/// The columns of a task that commands change.
pub(super) struct Changeable<'a> {
    pub(super) status: i16,
    pub(super) result_code: Option<String>,
    pub(super) started_at: Option<i64>,
    pub(super) ended_at: Option<i64>,
    pub(super) fence: i64,
    pub(super) attempts_counted: i64,
    pub(super) claim_id: Option<String>,
    pub(super) worker: Option<&'a str>,
    pub(super) holder: Option<&'a str>,
    pub(super) lease_seconds: Option<i64>,
    pub(super) claimed_at: Option<i64>,
    pub(super) progress_at: Option<i64>,
    pub(super) due_at: Option<i64>,
    pub(super) cancel_requested: Option<i64>,
    pub(super) success_count: i64,
    pub(super) fail_count: i64,
    pub(super) failure_rows: i64,
}

/// The most attempts, and the most actions, that are read of a task.
pub(super) const MOST_OF_HISTORY: i64 = 1000;

/// The columns of `attempt`, in the order of [`AttemptRow::COLUMNS`].
#[derive(sqlx::FromRow)]
pub(super) struct AttemptRow {
    pub(super) task_id: i64,
    pub(super) fence: i64,
    pub(super) worker: String,
    pub(super) holder: String,
    pub(super) started_at: i64,
    pub(super) ended_at: i64,
    pub(super) how: i64,
    pub(super) code: Option<String>,
}

impl AttemptRow {
    /// What a query must select.
    pub(super) const COLUMNS: &'static str = "task_id, fence, worker, holder, started_at, \
         ended_at, CAST(how AS bigint) AS how, code";

    fn into_attempt(self) -> Result<EndedAttempt, CorruptRow> {
        let corrupt = |column| CorruptRow {
            id: self.task_id,
            column,
        };
        let time =
            |millis, column| Timestamp::from_millisecond(millis).map_err(|_| corrupt(column));
        let code = self.code.as_deref().map(str::parse).transpose();
        Ok(EndedAttempt {
            fence: Fence::new(u32::try_from(self.fence).map_err(|_| corrupt("fence"))?),
            worker: self.worker.parse().map_err(|_| corrupt("worker"))?,
            holder: self.holder.parse().map_err(|_| corrupt("holder"))?,
            started_at: time(self.started_at, "started_at")?,
            ended_at: time(self.ended_at, "ended_at")?,
            end: AttemptEnd::from_code(self.how).ok_or(corrupt("how"))?,
            code: code.map_err(|_| corrupt("code"))?,
        })
    }
}

/// The columns of `action`, in the order of [`ActionRow::COLUMNS`].
#[derive(sqlx::FromRow)]
pub(super) struct ActionRow {
    pub(super) task_id: i64,
    pub(super) at: i64,
    pub(super) kind: i64,
    pub(super) credential: Option<String>,
    pub(super) user_id: String,
}

impl ActionRow {
    /// What a query must select.
    pub(super) const COLUMNS: &'static str =
        "task_id, at, CAST(kind AS bigint) AS kind, credential, user_id";

    fn into_action(self) -> Result<Action, CorruptRow> {
        let corrupt = |column| CorruptRow {
            id: self.task_id,
            column,
        };
        let credential = self.credential.as_deref().map(str::parse).transpose();
        Ok(Action {
            kind: ActionKind::from_code(self.kind).ok_or(corrupt("kind"))?,
            actor: Actor {
                credential: credential.map_err(|_| corrupt("credential"))?,
                user_id: self.user_id.parse().map_err(|_| corrupt("user_id"))?,
            },
            at: Timestamp::from_millisecond(self.at).map_err(|_| corrupt("at"))?,
        })
    }
}

/// What happened to a task, from its newest rows, newest first.
pub(super) fn history(
    attempts: Vec<AttemptRow>,
    actions: Vec<ActionRow>,
) -> Result<History, StoreError> {
    let attempts = attempts.into_iter().rev().map(AttemptRow::into_attempt);
    let actions = actions.into_iter().rev().map(ActionRow::into_action);
    Ok(History {
        attempts: attempts.collect::<Result<_, _>>()?,
        actions: actions.collect::<Result<_, _>>()?,
    })
}

/// A row of `import_failure`: the user's name, and what was wrong.
pub(super) fn failure((user_name, description): (String, String)) -> ImportFailure {
    ImportFailure {
        user_name,
        description,
    }
}

/// The task that a query found, if it found one.
pub(super) fn task(row: Option<TaskRow>) -> Result<Option<Task>, StoreError> {
    Ok(row.map(TaskRow::into_task).transpose()?)
}

/// The tasks that a query found.
pub(super) fn tasks(rows: Vec<TaskRow>) -> Result<Vec<Task>, StoreError> {
    rows.into_iter().map(|row| Ok(row.into_task()?)).collect()
}

/// Milliseconds since the Unix epoch.
pub(super) fn millis(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_millisecond)
}

/// A count as SQL has it.
pub(super) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_and_type_has_a_number_of_its_own() {
        for status in TaskStatus::ALL {
            assert_eq!(
                TaskStatus::from_code(i64::from(status.code())),
                Some(status)
            );
        }
        for task_type in TaskType::ALL {
            assert_eq!(
                TaskType::from_code(i64::from(task_type.code())),
                Some(task_type)
            );
        }
    }

    #[test]
    fn parameters_are_read_by_their_type_and_never_by_their_shape() {
        let json = r#"{"srcUserId":"a","dstUserId":"b"}"#;
        assert!(read_parameters(TaskType::TransferAndDeletion, json).is_some());
        assert_eq!(read_parameters(TaskType::BatchImport, json), None);
    }
}
