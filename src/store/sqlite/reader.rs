//! Reads, on connections of their own: in WAL mode they never wait for the
//! writer, nor the writer for them.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use super::index::{Fingerprints, IndexKind, SharedMemtable, find_in_block};
use crate::store::row::{self, ActionRow, AttemptRow, Code, TaskRow};
use crate::task::attempt::History;
use crate::task::import::ImportFailure;
use crate::task::list::{Order, Page};
use crate::task::repository::StoreError;
use crate::task::{Identifier, Task, TaskId, TaskParameters, TaskStatus, TaskType, TenantId};

/// The most reads at a time; further ones wait for their turn.
const CONNECTIONS: u32 = 4;
/// How long a read waits for its turn.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// The reading side of the store.
pub(super) struct Reader {
    pool: SqlitePool,
    fingerprints: Fingerprints,
    young_source_users: SharedMemtable,
}

impl Reader {
    /// A reader of the database at `path`; it connects when it is first used.
    pub(super) fn new(path: &Path, fingerprints: Fingerprints, memtable: SharedMemtable) -> Self {
        let options = SqliteConnectOptions::new().filename(path).read_only(true);
        Self {
            pool: SqlitePoolOptions::new()
                .max_connections(CONNECTIONS)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                // A connection to a file does not go stale.
                .test_before_acquire(false)
                // A file that was put in the place of another is noticed.
                .max_lifetime(Duration::from_secs(60))
                .connect_lazy_with(options),
            fingerprints,
            young_source_users: memtable,
        }
    }

    /// The connections there are, one of them the writer's.
    pub(super) fn connections(&self) -> usize {
        usize::try_from(self.pool.size()).map_or(usize::MAX, |readers| readers.saturating_add(1))
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }

    /// Looks only among the tenant's own tasks, so that what is read does not
    /// depend on whether another tenant has a task of this id.
    pub(super) async fn find(
        &self,
        tenant_id: &TenantId,
        id: TaskId,
    ) -> Result<Option<Task>, StoreError> {
        let query = format!(
            "SELECT {} FROM task INDEXED BY task_by_state
             WHERE tenant_id = ?1 AND task_type IN ({}) AND status IN ({}) AND id = ?2",
            TaskRow::COLUMNS,
            TaskType::all_codes(),
            TaskStatus::all_codes(),
        );
        let row = sqlx::query_as(AssertSqlSafe(query))
            .bind(tenant_id.as_str())
            .bind(id.get())
            .fetch_optional(&self.pool)
            .await?;
        row::task(row)
    }

    /// The first of each state's tasks, merged.
    pub(super) async fn list(
        &self,
        tenant_id: &TenantId,
        page: Page,
    ) -> Result<Vec<Task>, StoreError> {
        let (direction, after_default, comparison) = match page.order {
            Order::Ascending => ("ASC", 0, '>'),
            Order::Descending => ("DESC", i64::MAX, '<'),
        };
        let mut states = String::new();
        for (task_type, status) in page.filter.states() {
            let union = if states.is_empty() { "" } else { " UNION ALL " };
            // Writing to a string does not fail.
            let _ = write!(
                states,
                "{union}SELECT * FROM (SELECT id AS next FROM task INDEXED BY task_by_state
                 WHERE tenant_id = ?1 AND task_type = {} AND status = {} AND id {comparison} ?2
                 ORDER BY id {direction} LIMIT ?3)",
                task_type.code(),
                status.code(),
            );
        }
        let query = format!(
            "SELECT {} FROM ({states} ORDER BY next {direction} LIMIT ?3)
             CROSS JOIN task ON id = next ORDER BY next {direction}",
            TaskRow::COLUMNS
        );
        let rows: Vec<TaskRow> = sqlx::query_as(AssertSqlSafe(query).into_sql_str())
            .bind(tenant_id.as_str())
            .bind(page.after.map_or(after_default, TaskId::get))
            .bind(page.limit)
            .fetch_all(&self.pool)
            .await?;
        row::tasks(rows)
    }

    pub(super) async fn newest_transfer(
        &self,
        tenant_id: &TenantId,
        src_user_id: &Identifier,
    ) -> Result<Option<Task>, StoreError> {
        let (scope, key) = (
            tenant_id.as_str().as_bytes(),
            src_user_id.as_str().as_bytes(),
        );
        let fingerprint = self.fingerprints.of(scope, key);
        // Memory first: an entry leaves it only after it is on disk.
        let mut candidates = self.young_source_users.find(fingerprint);
        if let Some(task) = self
            .first_transfer(&candidates, tenant_id, src_user_id)
            .await?
        {
            return Ok(Some(task));
        }
        candidates = self.in_runs(fingerprint).await?;
        self.first_transfer(&candidates, tenant_id, src_user_id)
            .await
    }

    /// The tasks of this fingerprint that are in runs, newest first.
    async fn in_runs(&self, fingerprint: u64) -> Result<Vec<i64>, StoreError> {
        let blocks: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT entries FROM index_run CROSS JOIN index_block
             ON index_block.id = (index_run.id << 32) | (?2 >> (32 - prefix_bits))
             WHERE kind = ?1 AND state = 1 ORDER BY last_task_id DESC",
        )
        .bind(IndexKind::SourceUser as u8)
        .bind((fingerprint >> 32).cast_signed())
        .fetch_all(&self.pool)
        .await?;
        Ok(blocks
            .iter()
            .flat_map(|block| find_in_block(block, fingerprint))
            .collect())
    }

    /// The first candidate that really is a transfer of this user's.
    async fn first_transfer(
        &self,
        candidates: &[i64],
        tenant_id: &TenantId,
        src_user_id: &Identifier,
    ) -> Result<Option<Task>, StoreError> {
        for id in candidates.iter().copied().filter_map(TaskId::new) {
            if let Some(task) = self.find(tenant_id, id).await?
                && matches!(&task.parameters, TaskParameters::Transfer { src_user_id: of, .. }
                    if of == src_user_id)
            {
                return Ok(Some(task));
            }
        }
        Ok(None)
    }

    pub(super) async fn newest_import(
        &self,
        tenant_id: &TenantId,
        user_id: &Identifier,
    ) -> Result<Option<Task>, StoreError> {
        let query = format!(
            "SELECT {} FROM task INDEXED BY import_by_user
             WHERE tenant_id = ?1 AND user_id = ?2 AND task_type = {} ORDER BY id DESC LIMIT 1",
            TaskRow::COLUMNS,
            TaskType::BatchImport.code(),
        );
        let row = sqlx::query_as(AssertSqlSafe(query))
            .bind(tenant_id.as_str())
            .bind(user_id.as_str())
            .fetch_optional(&self.pool)
            .await?;
        row::task(row)
    }

    pub(super) async fn failures(
        &self,
        task: &Task,
        from: u64,
        limit: u32,
    ) -> Result<Vec<ImportFailure>, StoreError> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT user_name, description FROM import_failure
             WHERE task_id = ?1 AND fence = ?2 AND position >= ?3 ORDER BY position LIMIT ?4",
        )
        .bind(task.id.get())
        .bind(task.fence.get())
        .bind(row::number(from))
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(row::failure).collect())
    }

    pub(super) async fn history(&self, id: TaskId) -> Result<History, StoreError> {
        let attempts: Vec<AttemptRow> = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT {} FROM attempt WHERE task_id = ?1 ORDER BY fence DESC LIMIT ?2",
            AttemptRow::COLUMNS
        )))
        .bind(id.get())
        .bind(row::MOST_OF_HISTORY)
        .fetch_all(&self.pool)
        .await?;
        let actions: Vec<ActionRow> = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT {} FROM action WHERE task_id = ?1 ORDER BY at DESC LIMIT ?2",
            ActionRow::COLUMNS
        )))
        .bind(id.get())
        .bind(row::MOST_OF_HISTORY)
        .fetch_all(&self.pool)
        .await?;
        row::history(attempts, actions)
    }
}
