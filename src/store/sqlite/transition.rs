//! Commands to tasks, as the writer applies them.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::database::DatabaseError;
use crate::store::dispatch::{Moved, ready_from};
use crate::store::given::Given;
use crate::store::row::{self, Code, TaskRow};
use crate::task::attempt::{Action, EndedAttempt};
use crate::task::life_cycle::{Command, NewFailures};
use crate::task::repository::{ApplyError, StoreError};
use crate::task::scope::Scope;
use crate::task::{Identifier, Task, TaskId};

/// Applies a command to a task, which may be `given`, and writes what is to be written
/// for it.
pub(super) fn apply(
    connection: &Connection,
    given: &mut Given,
    id: TaskId,
    scope: &Scope,
    command: &Command,
    at: Timestamp,
) -> Result<Result<Moved, ApplyError>, DatabaseError> {
    let found = match given.get(id) {
        Some(known) => Ok(Some(known.clone())),
        None => find(connection, id),
    };
    let found = match found {
        // It must not be in the way of all others.
        Err(DatabaseError::Corrupt(error)) => {
            tracing::error!(task_id = %id, %error, "a task cannot be led on");
            return Ok(Err(StoreError::from(error).into()));
        }
        found => found?,
    };
    let Some(mut task) = found.filter(|task| scope.covers(task)) else {
        return Ok(Err(ApplyError::NoTask));
    };
    let (was, was_ready) = (task.status, ready_from(&task));
    let effects = match task.apply(command, at) {
        Ok(effects) => effects,
        Err(refusal) => return Ok(Err(refusal.into())),
    };
    if effects.changed {
        update(connection, &task)?;
    }
    if let Some(ended) = &effects.ended {
        insert_attempt(connection, id, ended)?;
    }
    if let Some(action) = &effects.action {
        insert_action(connection, id, action)?;
    }
    if let Some(failures) = &effects.failures {
        insert_failures(connection, id, failures)?;
    }
    given.note(&task);
    Ok(Ok(Moved::new(was, was_ready, task, effects.lease)))
}

fn update(connection: &Connection, task: &Task) -> Result<(), DatabaseError> {
    let row = TaskRow::of(task);
    connection
        .prepare_cached(
            "UPDATE task SET status = ?2, result_code = ?3, started_at = ?4, ended_at = ?5,
                 fence = ?6, attempts_counted = ?7, claim_id = ?8, worker = ?9, holder = ?10,
                 lease_seconds = ?11, claimed_at = ?12, progress_at = ?13, due_at = ?14,
                 cancel_requested = ?15, success_count = ?16, fail_count = ?17,
                 failure_rows = ?18
             WHERE id = ?1",
        )?
        .execute(params![
            task.id.get(),
            row.status,
            row.result_code,
            row.started_at,
            row.ended_at,
            row.fence,
            row.attempts_counted,
            row.claim_id,
            row.worker,
            row.holder,
            row.lease_seconds,
            row.claimed_at,
            row.progress_at,
            row.due_at,
            row.cancel_requested,
            row.success_count,
            row.fail_count,
            row.failure_rows,
        ])?;
    Ok(())
}

fn insert_attempt(
    connection: &Connection,
    id: TaskId,
    ended: &EndedAttempt,
) -> Result<(), DatabaseError> {
    connection
        .prepare_cached(
            "INSERT INTO attempt
             (task_id, fence, worker, holder, started_at, ended_at, how, code)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            id.get(),
            ended.fence.get(),
            ended.worker.as_str(),
            ended.holder.as_str(),
            ended.started_at.as_millisecond(),
            ended.ended_at.as_millisecond(),
            ended.end.code(),
            ended.code.map(|code| code.to_string()),
        ])?;
    Ok(())
}

fn insert_action(
    connection: &Connection,
    id: TaskId,
    action: &Action,
) -> Result<(), DatabaseError> {
    let credential = action.actor.credential.as_ref();
    connection
        .prepare_cached(
            "INSERT INTO action (task_id, at, kind, credential, user_id)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            id.get(),
            action.at.as_millisecond(),
            action.kind.code(),
            credential.map(Identifier::as_str),
            action.actor.user_id.as_str(),
        ])?;
    Ok(())
}

fn insert_failures(
    connection: &Connection,
    id: TaskId,
    new: &NewFailures,
) -> Result<(), DatabaseError> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO import_failure (task_id, fence, position, user_name, description)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (position, row) in (new.first..).zip(&new.rows) {
        insert.execute(params![
            id.get(),
            new.fence.get(),
            row::number(position),
            row.user_name,
            row.description,
        ])?;
    }
    Ok(())
}

/// The task of this id.
pub(super) fn find(connection: &Connection, id: TaskId) -> Result<Option<Task>, DatabaseError> {
    let query = format!("SELECT {} FROM task WHERE id = ?1", TaskRow::COLUMNS);
    let row = connection
        .prepare_cached(&query)?
        .query_row([id.get()], TaskRow::read)
        .optional()?;
    Ok(row.map(TaskRow::into_task).transpose()?)
}
