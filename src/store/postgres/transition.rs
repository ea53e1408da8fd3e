//! Commands to tasks, each in a transaction of its own.

use jiff::Timestamp;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

use crate::store::row::{self, Code, TaskRow};
use crate::task::attempt::{Action, EndedAttempt};
use crate::task::life_cycle::{Command, NewFailures, Refusal};
use crate::task::repository::StoreError;
use crate::task::scope::Target;
use crate::task::{Identifier, Task, TaskId};

/// Applies a command by the database's clock; the task after it, if there is such
/// a task. Instances that lead the same task take turns.
pub(super) async fn apply(
    connection: &mut PgConnection,
    target: &Target,
    command: &Command,
) -> Result<Result<Option<Task>, Refusal>, StoreError> {
    let mut transaction = connection.begin().await?;
    let query = format!(
        "SELECT {} FROM task WHERE node = $1 AND id = $2 FOR UPDATE",
        TaskRow::COLUMNS
    );
    let row = sqlx::query_as(AssertSqlSafe(query))
        .bind(i32::from(target.id.node()))
        .bind(target.id.get())
        .fetch_optional(&mut *transaction)
        .await?;
    let Some(mut task) = row::task(row)?.filter(|task| target.scope.covers(task)) else {
        return Ok(Ok(None));
    };
    let at = now(&mut transaction).await?;
    let effects = match task.apply(command, at) {
        Ok(effects) => effects,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if effects.changed {
        update(&mut transaction, &task).await?;
    }
    if let Some(ended) = &effects.ended {
        insert_attempt(&mut transaction, task.id, ended).await?;
    }
    if let Some(action) = &effects.action {
        insert_action(&mut transaction, task.id, action).await?;
    }
    if let Some(failures) = &effects.failures {
        insert_failures(&mut transaction, task.id, failures).await?;
    }
    transaction.commit().await?;
    Ok(Ok(Some(task)))
}

/// The time by the database's clock.
async fn now(connection: &mut PgConnection) -> Result<Timestamp, StoreError> {
    let query = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
    let millis: i64 = sqlx::query_scalar(query).fetch_one(connection).await?;
    Timestamp::from_millisecond(millis).map_err(StoreError::failed)
}

async fn update(connection: &mut PgConnection, task: &Task) -> Result<(), StoreError> {
    let row = TaskRow::of(task);
    sqlx::query(
        "UPDATE task SET status = $3, result_code = $4, started_at = $5, ended_at = $6,
             fence = $7, attempts_counted = $8, claim_id = $9, worker = $10, holder = $11,
             lease_seconds = $12, claimed_at = $13, progress_at = $14, due_at = $15,
             cancel_requested = $16, success_count = $17, fail_count = $18, failure_rows = $19
         WHERE node = $1 AND id = $2",
    )
    .bind(i32::from(task.id.node()))
    .bind(task.id.get())
    .bind(row.status)
    .bind(row.result_code)
    .bind(row.started_at)
    .bind(row.ended_at)
    .bind(row.fence)
    .bind(row.attempts_counted)
    .bind(row.claim_id)
    .bind(row.worker)
    .bind(row.holder)
    .bind(row.lease_seconds)
    .bind(row.claimed_at)
    .bind(row.progress_at)
    .bind(row.due_at)
    .bind(row.cancel_requested)
    .bind(row.success_count)
    .bind(row.fail_count)
    .bind(row.failure_rows)
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_attempt(
    connection: &mut PgConnection,
    id: TaskId,
    ended: &EndedAttempt,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO attempt (task_id, fence, worker, holder, started_at, ended_at, how, code)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(id.get())
    .bind(i64::from(ended.fence.get()))
    .bind(ended.worker.as_str())
    .bind(ended.holder.as_str())
    .bind(ended.started_at.as_millisecond())
    .bind(ended.ended_at.as_millisecond())
    .bind(ended.end.code())
    .bind(ended.code.map(|code| code.to_string()))
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_action(
    connection: &mut PgConnection,
    id: TaskId,
    action: &Action,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO action (task_id, at, kind, credential, user_id) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(id.get())
    .bind(action.at.as_millisecond())
    .bind(action.kind.code())
    .bind(action.actor.credential.as_ref().map(Identifier::as_str))
    .bind(action.actor.user_id.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_failures(
    connection: &mut PgConnection,
    id: TaskId,
    new: &NewFailures,
) -> Result<(), StoreError> {
    let column = |of: fn(&crate::task::import::ImportFailure) -> &str| {
        new.rows.iter().map(of).collect::<Vec<&str>>()
    };
    sqlx::query(
        "INSERT INTO import_failure (task_id, fence, position, user_name, description)
         SELECT $1, $2, $3 + position - 1, user_name, description
         FROM unnest($4::text[], $5::text[]) WITH ORDINALITY
           AS new (user_name, description, position)",
    )
    .bind(id.get())
    .bind(i64::from(new.fence.get()))
    .bind(row::number(new.first))
    .bind(column(|row| &row.user_name))
    .bind(column(|row| &row.description))
    .execute(connection)
    .await?;
    Ok(())
}
