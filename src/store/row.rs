//! A task as a row of a SQL database.

use jiff::Timestamp;

use crate::task::idempotency::Idempotency;
use crate::task::repository::StoreError;
use crate::task::{Identifier, ImportResult, NewTask, Task, TaskId, TaskStatus};

/// A create that has no id yet.
pub(super) struct Request {
    pub(super) task: NewTask,
    pub(super) idempotency: Option<Idempotency>,
}

/// A task to be kept, under its id.
pub(super) struct NewRow {
    pub(super) id: TaskId,
    pub(super) task: NewTask,
    pub(super) idempotency: Option<Idempotency>,
}

impl NewRow {
    /// The row of this request, which is taken away.
    pub(super) fn new(id: TaskId, request: &mut Option<Request>) -> Result<Self, StoreError> {
        // It is there until it has its row.
        let Request { task, idempotency } = request.take().ok_or(StoreError::Closed)?;
        Ok(Self {
            id,
            task,
            idempotency,
        })
    }
}

/// The columns of `task`, in the order of [`TaskRow::COLUMNS`].
#[derive(sqlx::FromRow)]
pub(super) struct TaskRow {
    pub(super) id: i64,
    pub(super) tenant_id: String,
    pub(super) user_id: String,
    pub(super) status: i64,
    pub(super) locale: String,
    pub(super) init_params: String,
    pub(super) result_code: Option<String>,
    pub(super) started_at: Option<i64>,
    pub(super) ended_at: Option<i64>,
}

/// A row that no version of this program wrote.
#[derive(Debug, thiserror::Error)]
#[error("task {id} is not readable: {column} is wrong")]
pub(super) struct CorruptRow {
    id: i64,
    column: &'static str,
}

impl TaskRow {
    /// What a query must select.
    pub(super) const COLUMNS: &'static str = "id, tenant_id, user_id, CAST(status AS bigint) AS status, \
         locale, init_params, result_code, started_at, ended_at";

    pub(super) fn into_task(self) -> Result<Task, CorruptRow> {
        let id = self.id;
        let corrupt = |column| CorruptRow { id, column };
        let time = |millis: Option<i64>, column| {
            millis
                .map(Timestamp::from_millisecond)
                .transpose()
                .map_err(|_| corrupt(column))
        };
        let tenant_id: Identifier = self.tenant_id.parse().map_err(|_| corrupt("tenant_id"))?;
        Ok(Task {
            id: TaskId::new(id).ok_or(corrupt("id"))?,
            tenant_id: tenant_id.into(),
            user_id: self.user_id.parse().map_err(|_| corrupt("user_id"))?,
            locale: self.locale,
            parameters: serde_json::from_str(&self.init_params)
                .map_err(|_| corrupt("init_params"))?,
            status: TaskStatus::from_number(self.status).ok_or(corrupt("status"))?,
            result_code: self.result_code,
            started_at: time(self.started_at, "started_at")?,
            ended_at: time(self.ended_at, "ended_at")?,
        })
    }
}

/// The task that a query found, if it found one.
pub(super) fn task(row: Option<TaskRow>) -> Result<Option<Task>, StoreError> {
    row.map(TaskRow::into_task)
        .transpose()
        .map_err(StoreError::failed)
}

/// The tasks that a query found.
pub(super) fn tasks(rows: Vec<TaskRow>) -> Result<Vec<Task>, StoreError> {
    rows.into_iter()
        .map(|row| row.into_task().map_err(StoreError::failed))
        .collect()
}

/// The result of an import from its counts and its failures as JSON; an import
/// that has no row has done nothing yet.
pub(super) fn import_result(row: Option<(i64, i64, String)>) -> Result<ImportResult, StoreError> {
    let Some((success_count, fail_count, failures)) = row else {
        return Ok(ImportResult::default());
    };
    Ok(ImportResult {
        success_count: success_count.unsigned_abs(),
        fail_count: fail_count.unsigned_abs(),
        failures: serde_json::from_str(&failures).map_err(StoreError::failed)?,
    })
}
