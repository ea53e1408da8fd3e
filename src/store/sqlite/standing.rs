//! Which tasks may be started and which are held, read from the database.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::database::DatabaseError;
use crate::store::dispatch::{Dispatch, DueRetry, WINDOW};
use crate::store::row::{Code, TaskRow};
use crate::task::retry::RetryPolicy;
use crate::task::{Identifier, TaskId, TaskStatus, TaskType, TenantId};

/// Everything that may be started or is held. Who held a task when the database
/// was closed, or the process was killed, holds it for a whole lease anew.
pub(super) fn load(
    connection: &Connection,
    policy: RetryPolicy,
    elapsed: Duration,
) -> Result<Dispatch, DatabaseError> {
    let mut dispatch = Dispatch::new(WINDOW, policy);
    let mut last = (String::new(), i64::MIN);
    while let Some(next) = kind_after(connection, &last)? {
        last = next;
        let (tenant_id, code) = &last;
        let known = tenant_id
            .parse::<Identifier>()
            .ok()
            .zip(TaskType::from_code(*code));
        let Some((tenant_id, task_type)) = known else {
            tracing::error!(
                tenant_id,
                task_type = code,
                "rows of tasks are not readable"
            );
            continue;
        };
        let of = (&TenantId::from(tenant_id), task_type);
        hold_again(&mut dispatch, connection, of, elapsed)?;
        dispatch.add_unread(of);
    }
    Ok(dispatch)
}

/// The next tenant and type that there are tasks of. Its cost does not depend on
/// their number.
fn kind_after(
    connection: &Connection,
    last: &(String, i64),
) -> rusqlite::Result<Option<(String, i64)>> {
    connection
        .prepare_cached(
            "SELECT tenant_id, task_type FROM task INDEXED BY task_by_state
             WHERE (tenant_id, task_type) > (?1, ?2) ORDER BY tenant_id, task_type LIMIT 1",
        )?
        .query_row(params![last.0, last.1], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()
}

fn hold_again(
    dispatch: &mut Dispatch,
    connection: &Connection,
    (tenant_id, task_type): (&TenantId, TaskType),
    elapsed: Duration,
) -> Result<(), DatabaseError> {
    let query = format!(
        "SELECT {} FROM task INDEXED BY task_by_state
         WHERE tenant_id = ?1 AND task_type = ?2 AND status = ?3 AND claim_id IS NOT NULL",
        TaskRow::COLUMNS
    );
    let mut statement = connection.prepare_cached(&query)?;
    let executing = TaskStatus::Executing.code();
    let rows = params![tenant_id.as_str(), task_type.code(), executing];
    for row in statement.query_map(rows, TaskRow::read)? {
        match row?.into_task() {
            Ok(task) => {
                if let Some(attempt) = &task.attempt {
                    dispatch.hold_again(&task, attempt, elapsed);
                }
            }
            Err(error) => tracing::error!(%error, "a task that is held cannot be led on"),
        }
    }
    Ok(())
}

/// The tenant's first tasks of this type that were never started.
pub(super) fn fresh(
    connection: &Connection,
    (tenant_id, task_type): (&TenantId, TaskType),
    most: usize,
) -> rusqlite::Result<Vec<TaskId>> {
    let mut statement = connection.prepare_cached(
        "SELECT id FROM task INDEXED BY task_by_state
         WHERE tenant_id = ?1 AND task_type = ?2 AND status = ?3 ORDER BY id LIMIT ?4",
    )?;
    let new = TaskStatus::New.code();
    let of = params![tenant_id.as_str(), task_type.code(), new, limit(most)];
    let ids = statement.query_map(of, |row| Ok(TaskId::new(row.get(0)?)))?;
    ids.filter_map(Result::transpose).collect()
}

/// The tenant's tasks of this type that are the first to be tried again.
pub(super) fn retries(
    connection: &Connection,
    (tenant_id, task_type): (&TenantId, TaskType),
    most: usize,
) -> rusqlite::Result<Vec<DueRetry>> {
    let mut statement = connection.prepare_cached(
        "SELECT due_at, id FROM task INDEXED BY task_due
         WHERE tenant_id = ?1 AND task_type = ?2 AND due_at IS NOT NULL
         ORDER BY due_at, id LIMIT ?3",
    )?;
    let of = params![tenant_id.as_str(), task_type.code(), limit(most)];
    let retries = statement.query_map(of, |row| Ok((row.get(0)?, TaskId::new(row.get(1)?))))?;
    retries
        .filter_map(|retry| retry.map(|(due, id)| Some((due, id?))).transpose())
        .collect()
}

fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}
