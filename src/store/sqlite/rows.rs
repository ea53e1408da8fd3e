//! Rows, as queries that select their columns answer them.

use rusqlite::Row;

use crate::store::row::{ActionRow, AttemptRow, TaskRow};

impl TaskRow {
    /// The row of a query that selects [`TaskRow::COLUMNS`].
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            tenant_id: row.get(1)?,
            user_id: row.get(2)?,
            task_type: row.get(3)?,
            status: row.get(4)?,
            locale: row.get(5)?,
            init_params: row.get(6)?,
            result_code: row.get(7)?,
            started_at: row.get(8)?,
            ended_at: row.get(9)?,
            created_by: row.get(10)?,
            fence: row.get(11)?,
            attempts_counted: row.get(12)?,
            claim_id: row.get(13)?,
            worker: row.get(14)?,
            holder: row.get(15)?,
            lease_seconds: row.get(16)?,
            claimed_at: row.get(17)?,
            progress_at: row.get(18)?,
            due_at: row.get(19)?,
            cancel_requested: row.get(20)?,
            success_count: row.get(21)?,
            fail_count: row.get(22)?,
            failure_rows: row.get(23)?,
        })
    }
}

impl AttemptRow {
    /// The row of a query that selects [`AttemptRow::COLUMNS`].
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            task_id: row.get(0)?,
            fence: row.get(1)?,
            worker: row.get(2)?,
            holder: row.get(3)?,
            started_at: row.get(4)?,
            ended_at: row.get(5)?,
            how: row.get(6)?,
            code: row.get(7)?,
        })
    }
}

impl ActionRow {
    /// The row of a query that selects [`ActionRow::COLUMNS`].
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            task_id: row.get(0)?,
            at: row.get(1)?,
            kind: row.get(2)?,
            credential: row.get(3)?,
            user_id: row.get(4)?,
        })
    }
}
