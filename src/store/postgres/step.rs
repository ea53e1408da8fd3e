//! The steps of a task's life.

use jiff::Timestamp;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

use crate::store::row::{self, TaskRow};
use crate::task::life_cycle::{InvalidTransition, Transition};
use crate::task::repository::StoreError;
use crate::task::{ImportResult, Task, TaskId};

/// Lets a task take a step of its life; the task after it, if there is such a
/// task. Instances that lead the same task take turns.
pub(super) async fn take(
    connection: &mut PgConnection,
    id: TaskId,
    step: &Transition,
    now: Timestamp,
) -> Result<Result<Option<Task>, InvalidTransition>, StoreError> {
    let mut transaction = connection.begin().await?;
    let query = format!(
        "SELECT {} FROM task WHERE node = $1 AND id = $2 FOR UPDATE",
        TaskRow::COLUMNS
    );
    let row = sqlx::query_as(AssertSqlSafe(query))
        .bind(i32::from(id.node()))
        .bind(id.get())
        .fetch_optional(&mut *transaction)
        .await?;
    let mut task = row::task(row)?;
    let taken = task.as_mut().map(|task| task.take(step, now)).transpose();
    if let (Some(task), Ok(_)) = (&task, &taken) {
        update(&mut transaction, task).await?;
        if let Transition::Progress(result) = step {
            write_import_result(&mut transaction, id, result).await?;
        }
    }
    transaction.commit().await?;
    Ok(taken.map(|_| task))
}

async fn update(connection: &mut PgConnection, task: &Task) -> Result<(), StoreError> {
    let millis = |time: Option<Timestamp>| time.map(Timestamp::as_millisecond);
    sqlx::query(
        "UPDATE task SET status = $3, result_code = $4, started_at = $5, ended_at = $6
         WHERE node = $1 AND id = $2",
    )
    .bind(i32::from(task.id.node()))
    .bind(task.id.get())
    .bind(task.status as i16)
    .bind(&task.result_code)
    .bind(millis(task.started_at))
    .bind(millis(task.ended_at))
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_import_result(
    connection: &mut PgConnection,
    id: TaskId,
    result: &ImportResult,
) -> Result<(), StoreError> {
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    sqlx::query(
        "INSERT INTO import_result (task_id, success_count, fail_count, failures)
         VALUES ($1, $2, $3, $4)
         ON CONFLICT (task_id) DO UPDATE SET success_count = excluded.success_count,
             fail_count = excluded.fail_count, failures = excluded.failures",
    )
    .bind(id.get())
    .bind(count(result.success_count))
    .bind(count(result.fail_count))
    .bind(serde_json::to_string(&result.failures).map_err(StoreError::failed)?)
    .execute(connection)
    .await?;
    Ok(())
}
