//! A task as a row, between the two libraries that read it.

use jiff::Timestamp;

use crate::task::{Identifier, Task, TaskId, TaskStatus};

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
    pub(super) const COLUMNS: &'static str = "id, tenant_id, user_id, status, locale, \
         init_params, result_code, started_at, ended_at";

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
