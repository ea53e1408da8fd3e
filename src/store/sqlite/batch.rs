//! The writes that share one transaction.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::database::DatabaseError;
use super::index::{Entry, Fingerprints, Index};
use super::work::{Done, Work};
use crate::store::row::{NewRow, TaskRow};
use crate::task::idempotency::{Digest, Idempotency};
use crate::task::life_cycle::{InvalidTransition, Transition};
use crate::task::repository::Created;
use crate::task::{ImportResult, NewTask, Task, TaskId, TaskParameters, TaskStatus};

const INSERT_TASK: &str = "INSERT INTO task
    (id, tenant_id, user_id, task_type, status, locale, init_params)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const INSERT_KEY: &str =
    "INSERT INTO idempotency (task_id, key_digest, body_digest) VALUES (?1, ?2, ?3)";

/// The writes of one transaction.
pub(super) struct Batch<'a> {
    insert_task: CachedStatement<'a>,
    insert_key: CachedStatement<'a>,
    connection: &'a Connection,
    fingerprints: &'a Fingerprints,
    keys: &'a Index,
    /// The id below which keys have expired.
    expired: i64,
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
        expired: i64,
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            insert_task: connection.prepare_cached(INSERT_TASK)?,
            insert_key: connection.prepare_cached(INSERT_KEY)?,
            connection,
            fingerprints,
            keys,
            expired,
            own_keys: HashMap::new(),
            key_entries: Vec::new(),
            source_user_entries: Vec::new(),
        })
    }

    /// What the indexes must learn: of keys, and of source users.
    pub(super) fn into_entries(self) -> (Vec<Entry>, Vec<Entry>) {
        (self.key_entries, self.source_user_entries)
    }

    /// Does one job's work; what became of it, once the transaction is committed.
    pub(super) fn work(&mut self, work: &Work, now: Timestamp) -> Result<Done, DatabaseError> {
        match work {
            Work::Create(new) => self.create(new).map(Done::Created),
            Work::TakeStep { id, step } => self.take_step(*id, step, now).map(Done::Stepped),
        }
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

    fn take_step(
        &self,
        id: TaskId,
        step: &Transition,
        now: Timestamp,
    ) -> Result<Result<Option<Task>, InvalidTransition>, DatabaseError> {
        let Some(mut task) = self.find(id)? else {
            return Ok(Ok(None));
        };
        if let Err(invalid) = task.take(step, now) {
            return Ok(Err(invalid));
        }
        let millis = |time: Option<Timestamp>| time.map(Timestamp::as_millisecond);
        self.connection
            .prepare_cached(
                "UPDATE task SET status = ?2, result_code = ?3, started_at = ?4, ended_at = ?5
                 WHERE id = ?1",
            )?
            .execute(params![
                id.get(),
                task.status as u8,
                task.result_code,
                millis(task.started_at),
                millis(task.ended_at),
            ])?;
        if let Transition::Progress(result) = step {
            self.write_import_result(id, result)?;
        }
        Ok(Ok(Some(task)))
    }

    fn find(&self, id: TaskId) -> Result<Option<Task>, DatabaseError> {
        let query = format!("SELECT {} FROM task WHERE id = ?1", TaskRow::COLUMNS);
        let row = self
            .connection
            .prepare_cached(&query)?
            .query_row([id.get()], |row| {
                Ok(TaskRow {
                    id: row.get(0)?,
                    tenant_id: row.get(1)?,
                    user_id: row.get(2)?,
                    status: row.get(3)?,
                    locale: row.get(4)?,
                    init_params: row.get(5)?,
                    result_code: row.get(6)?,
                    started_at: row.get(7)?,
                    ended_at: row.get(8)?,
                })
            })
            .optional()?;
        Ok(row.map(TaskRow::into_task).transpose()?)
    }

    fn write_import_result(&self, id: TaskId, result: &ImportResult) -> Result<(), DatabaseError> {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO import_result
                 (task_id, success_count, fail_count, failures) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                id.get(),
                count(result.success_count),
                count(result.fail_count),
                serde_json::to_string(&result.failures)?,
            ])?;
        Ok(())
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
            if task_id < self.expired {
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
            task.parameters.task_type() as u8,
            TaskStatus::New as u8,
            task.locale,
            serde_json::to_string(&task.parameters)?,
        ])?;
        if let TaskParameters::Transfer { src_user_id, .. } = &task.parameters {
            let user = src_user_id.as_str().as_bytes();
            let fingerprint = self.fingerprints.of(tenant_id.as_bytes(), user);
            self.source_user_entries.push((fingerprint, id.get()));
        }
        Ok(())
    }
}
