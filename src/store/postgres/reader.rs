//! Reads.

use std::fmt::Write;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, SqlSafeStr};

use crate::store::row::{self, ActionRow, AttemptRow, Code, TaskRow};
use crate::store::walk::Walk;
use crate::task::attempt::History;
use crate::task::import::ImportFailure;
use crate::task::list::Page;
use crate::task::repository::StoreError;
use crate::task::{Identifier, Task, TaskId, TaskType, TenantId};

pub(super) async fn find(
    connection: &mut PgConnection,
    tenant_id: &TenantId,
    id: TaskId,
) -> Result<Option<Task>, StoreError> {
    let query = format!(
        "SELECT {} FROM task WHERE node = $1 AND id = $2 AND tenant_id = $3",
        TaskRow::COLUMNS
    );
    let row = sqlx::query_as(AssertSqlSafe(query))
        .bind(i32::from(id.node()))
        .bind(id.get())
        .bind(tenant_id.as_str())
        .fetch_optional(connection)
        .await?;
    row::task(row)
}

/// The first of each state's tasks, merged: the database reads no more rows of
/// any than the page takes. The limit is in the text, for the plan depends on it.
pub(super) async fn list(
    connection: &mut PgConnection,
    tenant_id: &TenantId,
    page: Page,
) -> Result<Vec<Task>, StoreError> {
    let Walk {
        direction,
        comparison,
        after,
    } = Walk::of(page);
    let limit = page.limit;
    let mut states = String::new();
    for (task_type, status) in page.filter.states() {
        let union = if states.is_empty() { "" } else { " UNION ALL " };
        // Writing to a string does not fail.
        let _ = write!(
            states,
            "{union}(SELECT * FROM task WHERE tenant_id = $1 AND task_type = {}
             AND status = {} AND id {comparison} $2 ORDER BY id {direction} LIMIT {limit})",
            task_type.code(),
            status.code(),
        );
    }
    let query = format!(
        "SELECT {} FROM ({states}) AS task ORDER BY id {direction} LIMIT {limit}",
        TaskRow::COLUMNS
    );
    let rows: Vec<TaskRow> = sqlx::query_as(AssertSqlSafe(query).into_sql_str())
        .bind(tenant_id.as_str())
        .bind(after)
        .fetch_all(connection)
        .await?;
    row::tasks(rows)
}

pub(super) async fn newest_transfer(
    connection: &mut PgConnection,
    tenant_id: &TenantId,
    src_user_id: &Identifier,
) -> Result<Option<Task>, StoreError> {
    newest(connection, "src_user_id = $2", tenant_id, src_user_id).await
}

pub(super) async fn newest_import(
    connection: &mut PgConnection,
    tenant_id: &TenantId,
    user_id: &Identifier,
) -> Result<Option<Task>, StoreError> {
    let task_type = TaskType::BatchImport.code();
    // As the index `import_by_user` says.
    let condition = format!("user_id = $2 AND task_type = {task_type} AND user_id <> ''");
    newest(connection, &condition, tenant_id, user_id).await
}

/// The tenant's newest task under a condition on a user.
async fn newest(
    connection: &mut PgConnection,
    condition: &str,
    tenant_id: &TenantId,
    user_id: &Identifier,
) -> Result<Option<Task>, StoreError> {
    let query = format!(
        "SELECT {} FROM task WHERE tenant_id = $1 AND {condition} ORDER BY id DESC LIMIT 1",
        TaskRow::COLUMNS
    );
    let row = sqlx::query_as(AssertSqlSafe(query))
        .bind(tenant_id.as_str())
        .bind(user_id.as_str())
        .fetch_optional(connection)
        .await?;
    row::task(row)
}

pub(super) async fn failures(
    connection: &mut PgConnection,
    task: &Task,
    from: u64,
    limit: u32,
) -> Result<Vec<ImportFailure>, StoreError> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT user_name, description FROM import_failure
         WHERE task_id = $1 AND fence = $2 AND position >= $3 ORDER BY position LIMIT $4",
    )
    .bind(task.id.get())
    .bind(i64::from(task.fence.get()))
    .bind(row::number(from))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(row::failure).collect())
}

pub(super) async fn history(
    connection: &mut PgConnection,
    id: TaskId,
) -> Result<History, StoreError> {
    let attempts: Vec<AttemptRow> = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT {} FROM attempt WHERE task_id = $1 ORDER BY fence DESC LIMIT $2",
        AttemptRow::COLUMNS
    )))
    .bind(id.get())
    .bind(row::MOST_OF_HISTORY)
    .fetch_all(&mut *connection)
    .await?;
    let actions: Vec<ActionRow> = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT {} FROM action WHERE task_id = $1 ORDER BY at DESC LIMIT $2",
        ActionRow::COLUMNS
    )))
    .bind(id.get())
    .bind(row::MOST_OF_HISTORY)
    .fetch_all(connection)
    .await?;
    row::history(attempts, actions)
}
