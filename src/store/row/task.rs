//! The table `task`.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::{Code, CorruptRow, millis, number, read_parameters};
use crate::task::attempt::{Attempt, Claim, Fence};
use crate::task::import::ImportCounts;
use crate::task::repository::StoreError;
use crate::task::{Identifier, Task, TaskId, TaskStatus, TaskType};

/// The columns of `task`, in the order of [`TaskRow::COLUMNS`].
#[derive(sqlx::FromRow)]
pub(in crate::store) struct TaskRow {
    pub(in crate::store) id: i64,
    pub(in crate::store) tenant_id: String,
    pub(in crate::store) user_id: String,
    pub(in crate::store) task_type: i64,
    pub(in crate::store) status: i64,
    pub(in crate::store) locale: String,
    pub(in crate::store) init_params: String,
    pub(in crate::store) result_code: Option<String>,
    pub(in crate::store) started_at: Option<i64>,
    pub(in crate::store) ended_at: Option<i64>,
    pub(in crate::store) created_by: Option<String>,
    pub(in crate::store) fence: Option<i64>,
    pub(in crate::store) attempts_counted: Option<i64>,
    pub(in crate::store) claim_id: Option<String>,
    pub(in crate::store) worker: Option<String>,
    pub(in crate::store) holder: Option<String>,
    pub(in crate::store) lease_seconds: Option<i64>,
    pub(in crate::store) claimed_at: Option<i64>,
    pub(in crate::store) progress_at: Option<i64>,
    pub(in crate::store) due_at: Option<i64>,
    pub(in crate::store) cancel_requested: Option<i64>,
    pub(in crate::store) success_count: Option<i64>,
    pub(in crate::store) fail_count: Option<i64>,
    pub(in crate::store) failure_rows: Option<i64>,
}

impl TaskRow {
    /// What a query must select.
    pub(in crate::store) const COLUMNS: &'static str = "id, tenant_id, user_id, \
         CAST(task_type AS bigint) AS task_type, CAST(status AS bigint) AS status, locale, \
         init_params, result_code, started_at, ended_at, created_by, fence, attempts_counted, \
         claim_id, worker, holder, lease_seconds, claimed_at, progress_at, due_at, \
         cancel_requested, success_count, fail_count, failure_rows";

    /// The columns that a command can change, of a task as it is now.
    pub(in crate::store) fn of(task: &Task) -> Changeable<'_> {
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

    pub(in crate::store) fn into_task(self) -> Result<Task, CorruptRow> {
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
pub(in crate::store) struct Changeable<'a> {
    pub(in crate::store) status: i16,
    pub(in crate::store) result_code: Option<String>,
    pub(in crate::store) started_at: Option<i64>,
    pub(in crate::store) ended_at: Option<i64>,
    pub(in crate::store) fence: i64,
    pub(in crate::store) attempts_counted: i64,
    pub(in crate::store) claim_id: Option<String>,
    pub(in crate::store) worker: Option<&'a str>,
    pub(in crate::store) holder: Option<&'a str>,
    pub(in crate::store) lease_seconds: Option<i64>,
    pub(in crate::store) claimed_at: Option<i64>,
    pub(in crate::store) progress_at: Option<i64>,
    pub(in crate::store) due_at: Option<i64>,
    pub(in crate::store) cancel_requested: Option<i64>,
    pub(in crate::store) success_count: i64,
    pub(in crate::store) fail_count: i64,
    pub(in crate::store) failure_rows: i64,
}

/// The task that a query found, if it found one.
pub(in crate::store) fn task(row: Option<TaskRow>) -> Result<Option<Task>, StoreError> {
    Ok(row.map(TaskRow::into_task).transpose()?)
}

/// The tasks that a query found.
pub(in crate::store) fn tasks(rows: Vec<TaskRow>) -> Result<Vec<Task>, StoreError> {
    rows.into_iter().map(|row| Ok(row.into_task()?)).collect()
}
