//! The writes that share one transaction.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::database::DatabaseError;
use super::index::{Entry, Fingerprints, Index};
use super::work::{Applied, Outcomes, Transition, Writes};
use crate::store::row::{self, Code, NewRow, TaskRow};
use crate::task::attempt::{Action, EndedAttempt};
use crate::task::idempotency::{Digest, Idempotency};
use crate::task::life_cycle::NewFailures;
use crate::task::repository::{ApplyError, Created};
use crate::task::{Identifier, NewTask, Task, TaskId, TaskParameters, TaskStatus};

const INSERT_TASK: &str = "INSERT INTO task
    (id, tenant_id, user_id, task_type, status, locale, init_params, created_by)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const INSERT_KEY: &str =
    "INSERT INTO idempotency (task_id, key_digest, body_digest) VALUES (?1, ?2, ?3)";

/// The writes of one transaction.
pub(super) struct Batch<'a> {
    insert_task: CachedStatement<'a>,
    insert_key: CachedStatement<'a>,
    connection: &'a Connection,
    fingerprints: &'a Fingerprints,
    keys: &'a Index,
    /// The first id whose key has not expired.
    first_kept: i64,
    /// The keys of this very batch.
    own_keys: HashMap<Digest, (TaskId, Digest)>,
    key_entries: Vec<Entry>,
    source_user_entries: Vec<Entry>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        fingerprints: &'a Fingerprints,
        keys: &'a Index,
        first_kept: i64,
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            insert_task: connection.prepare_cached(INSERT_TASK)?,
            insert_key: connection.prepare_cached(INSERT_KEY)?,
            connection,
            fingerprints,
            keys,
            first_kept,
            own_keys: HashMap::new(),
            key_entries: Vec::new(),
            source_user_entries: Vec::new(),
        })
    }

    /// What the indexes must learn: of keys, and of source users.
    pub(super) fn into_entries(self) -> (Vec<Entry>, Vec<Entry>) {
        (self.key_entries, self.source_user_entries)
    }

    /// Does the work of these writes; what became of each, once the transaction
    /// is committed.
    pub(super) fn work(
        &mut self,
        writes: &Writes,
        now: Timestamp,
    ) -> Result<Outcomes, DatabaseError> {
        let transitions = writes.transitions.iter();
        let creates = writes.creates.iter();
        Ok(Outcomes {
            transitions: transitions
                .map(|job| self.apply(&job.work, now))
                .collect::<Result<_, _>>()?,
            creates: creates
                .map(|job| self.create(&job.work))
                .collect::<Result<_, _>>()?,
        })
    }

    fn create(&mut self, new: &NewRow) -> Result<Created, DatabaseError> {
        if let Some(idempotency) = &new.idempotency {
            let fingerprint = self.fingerprints.of(&[], &idempotency.key);
            if let Some((first, body)) = self.first_use(idempotency, fingerprint)? {
                return Ok(Created::of_existing(idempotency, first, body));
            }
            self.insert_key(new.id, idempotency, fingerprint)?;
        }
        self.insert_task(new.id, &new.task)?;
        Ok(Created::New(new.id))
    }

    fn apply(&self, transition: &Transition, at: Timestamp) -> Result<Applied, DatabaseError> {
        let Transition { target, command } = transition;
        let found = self.find(target.id)?;
        let Some(mut task) = found.filter(|task| target.scope.covers(task)) else {
            return Ok(Err(ApplyError::NoTask));
        };
        let effects = match task.apply(command, at) {
            Ok(effects) => effects,
            Err(refusal) => return Ok(Err(refusal.into())),
        };
        if effects.changed {
            self.update(&task)?;
        }
        if let Some(ended) = &effects.ended {
            self.insert_attempt(task.id, ended)?;
        }
        if let Some(action) = &effects.action {
            self.insert_action(task.id, action)?;
        }
        if let Some(failures) = &effects.failures {
            self.insert_failures(task.id, failures)?;
        }
        Ok(Ok(Box::new(task)))
    }

    fn update(&self, task: &Task) -> Result<(), DatabaseError> {
        let row = TaskRow::of(task);
        self.connection
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

    fn insert_attempt(&self, id: TaskId, ended: &EndedAttempt) -> Result<(), DatabaseError> {
        self.connection
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

    fn insert_action(&self, id: TaskId, action: &Action) -> Result<(), DatabaseError> {
        let credential = action.actor.credential.as_ref();
        self.connection
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

    fn insert_failures(&self, id: TaskId, new: &NewFailures) -> Result<(), DatabaseError> {
        let mut insert = self.connection.prepare_cached(
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

    fn find(&self, id: TaskId) -> Result<Option<Task>, DatabaseError> {
        let query = format!("SELECT {} FROM task WHERE id = ?1", TaskRow::COLUMNS);
        let row = self
            .connection
            .prepare_cached(&query)?
            .query_row([id.get()], TaskRow::read)
            .optional()?;
        Ok(row.map(TaskRow::into_task).transpose()?)
    }

    /// The unexpired task that this key stands for, and its body.
    fn first_use(
        &self,
        idempotency: &Idempotency,
        fingerprint: u64,
    ) -> Result<Option<(TaskId, Digest)>, DatabaseError> {
        if let Some(first) = self.own_keys.get(&idempotency.key) {
            return Ok(Some(*first));
        }
        for task_id in self.keys.find(self.connection, fingerprint)? {
            if task_id < self.first_kept {
                continue;
            }
            let row: Option<(Digest, Digest)> = self
                .connection
                .prepare_cached(
                    "SELECT key_digest, body_digest FROM idempotency WHERE task_id = ?1",
                )?
                .query_row([task_id], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            // No row: the key was forgotten, and then the clock stepped back.
            if let Some((key, body)) = row
                && key == idempotency.key
            {
                return Ok(TaskId::new(task_id).map(|id| (id, body)));
            }
        }
        Ok(None)
    }

    fn insert_key(
        &mut self,
        id: TaskId,
        idempotency: &Idempotency,
        fingerprint: u64,
    ) -> Result<(), DatabaseError> {
        self.insert_key
            .execute(params![id.get(), idempotency.key, idempotency.body])?;
        self.own_keys
            .insert(idempotency.key, (id, idempotency.body));
        self.key_entries.push((fingerprint, id.get()));
        Ok(())
    }

    fn insert_task(&mut self, id: TaskId, task: &NewTask) -> Result<(), DatabaseError> {
        let tenant_id = task.tenant_id.as_str();
        self.insert_task.execute(params![
            id.get(),
            tenant_id,
            task.user_id.as_str(),
            task.parameters.task_type().code(),
            TaskStatus::New.code(),
            task.locale,
            row::write_parameters(&task.parameters)?,
            task.created_by.as_ref().map(Identifier::as_str),
        ])?;
        if let TaskParameters::Transfer { src_user_id, .. } = &task.parameters {
            let user = src_user_id.as_str().as_bytes();
            let fingerprint = self.fingerprints.of(tenant_id.as_bytes(), user);
            self.source_user_entries.push((fingerprint, id.get()));
        }
        Ok(())
    }
}

impl TaskRow {
    /// The row of a query that selects [`TaskRow::COLUMNS`].
    pub(super) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
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
