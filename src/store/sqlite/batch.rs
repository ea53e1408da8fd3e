//! The writes that share one transaction.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::database::DatabaseError;
use super::index::{Entry, Fingerprints, Index};
use super::work::{Outcomes, Writes};
use super::{standing, transition};
use crate::store::dispatch::{Dispatch, DueRetry, Moved, Storage, Waiters};
use crate::store::given::Given;
use crate::store::row::{self, Code, NewRow};
use crate::task::idempotency::Digest;
use crate::task::life_cycle::Command;
use crate::task::repository::{ApplyError, Created};
use crate::task::scope::{Scope, Target};
use crate::task::{
    Identifier, NewTask, Task, TaskId, TaskParameters, TaskStatus, TaskType, TenantId,
};

const INSERT_TASK: &str = "INSERT INTO task
    (id, tenant_id, user_id, task_type, status, locale, init_params, created_by)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const INSERT_KEY: &str =
    "INSERT INTO idempotency (task_id, key_digest, body_digest) VALUES (?1, ?2, ?3)";
const INSERT_FURTHER_KEY: &str =
    "INSERT INTO further_key (task_id, key_digest, body_digest) VALUES (?1, ?2, ?3)";
/// The body that a task was asked for with, if by this key.
const KNOWN_KEY: &str = "SELECT body_digest FROM idempotency WHERE task_id = ?1 AND key_digest = ?2
     UNION ALL
     SELECT body_digest FROM further_key WHERE task_id = ?1 AND key_digest = ?2";

/// A key, and its fingerprint in the index.
struct PrintedKey {
    key: Digest,
    fingerprint: u64,
}

/// The writes of one transaction.
pub(super) struct Batch<'a> {
    insert_task: CachedStatement<'a>,
    insert_key: CachedStatement<'a>,
    connection: &'a Connection,
    fingerprints: &'a Fingerprints,
    keys: &'a Index,
    given: &'a mut Given,
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
        given: &'a mut Given,
        first_kept: i64,
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            insert_task: connection.prepare_cached(INSERT_TASK)?,
            insert_key: connection.prepare_cached(INSERT_KEY)?,
            connection,
            fingerprints,
            keys,
            given,
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

    /// Does the work of these writes, and gives what there is to the claims that
    /// wait; what becomes of each, once the transaction is committed.
    pub(super) fn work(
        &mut self,
        writes: &Writes,
        waiters: &mut Waiters,
        dispatch: &mut Dispatch,
        (elapsed, now): (Duration, Timestamp),
    ) -> Result<Outcomes, DatabaseError> {
        let mut transitions = Vec::with_capacity(writes.transitions.len());
        for job in &writes.transitions {
            let Target { id, scope } = &job.work.target;
            let applied = self.apply(*id, scope, &job.work.command, now)?;
            transitions.push(applied.map(|moved| Box::new(dispatch.moved(moved, now))));
        }
        let mut creates = Vec::with_capacity(writes.creates.len());
        for job in &writes.creates {
            let created = self.create(&job.work)?;
            if let Created::New(id) = created {
                let task = &job.work.task;
                dispatch.created((&task.tenant_id, task.parameters.task_type()), id, now);
            }
            creates.push(created);
        }
        dispatch.expire(self, elapsed, now)?;
        dispatch.read_ahead(self, now)?;
        Ok(Outcomes {
            transitions,
            creates,
            claims: dispatch.serve(waiters, self, elapsed, now)?,
            moves: Vec::new(),
        })
    }

    fn create(&mut self, new: &NewRow) -> Result<Created, DatabaseError> {
        if let Some(idempotency) = &new.idempotency {
            let keys: Vec<PrintedKey> = idempotency.keys().map(|key| self.print(key)).collect();
            if let Some((first, body)) = self.first_use(&keys)? {
                let created = Created::of_existing(idempotency, first, body);
                if matches!(created, Created::Existing(_)) {
                    self.remember_further(first, &keys, &idempotency.body)?;
                }
                return Ok(created);
            }
            self.insert_keys(new.id, &keys, &idempotency.body)?;
        }
        self.insert_task(new.id, &new.task)?;
        Ok(Created::New(new.id))
    }

    fn print(&self, key: Digest) -> PrintedKey {
        PrintedKey {
            fingerprint: self.fingerprints.of(&[], &key),
            key,
        }
    }

    /// The unexpired task that one of the keys stands for, and its body.
    fn first_use(&self, keys: &[PrintedKey]) -> Result<Option<(TaskId, Digest)>, DatabaseError> {
        for key in keys {
            let known = self.meaning(key)?;
            if known.is_some() {
                return Ok(known);
            }
        }
        Ok(None)
    }

    /// The unexpired task that this key stands for, and its body.
    fn meaning(
        &self,
        PrintedKey { key, fingerprint }: &PrintedKey,
    ) -> Result<Option<(TaskId, Digest)>, DatabaseError> {
        if let Some(first) = self.own_keys.get(key) {
            return Ok(Some(*first));
        }
        for task_id in self.keys.find(self.connection, *fingerprint)? {
            if task_id < self.first_kept {
                continue;
            }
            let body: Option<Digest> = self
                .connection
                .prepare_cached(KNOWN_KEY)?
                .query_row(params![task_id, key], |row| row.get(0))
                .optional()?;
            // No row: another key, or one that was forgotten before the clock stepped
            // back.
            if let Some(body) = body {
                return Ok(TaskId::new(task_id).map(|id| (id, body)));
            }
        }
        Ok(None)
    }

    /// Lets the keys, of which none stands for anything, stand for a new task.
    fn insert_keys(
        &mut self,
        id: TaskId,
        keys: &[PrintedKey],
        body: &Digest,
    ) -> Result<(), DatabaseError> {
        let Some((first, further)) = keys.split_first() else {
            return Ok(());
        };
        self.insert_key
            .execute(params![id.get(), first.key, body])?;
        self.remember(id, first, body);
        self.remember_further(id, further, body)
    }

    /// Lets those keys stand for the task that stand for nothing yet.
    fn remember_further(
        &mut self,
        id: TaskId,
        keys: &[PrintedKey],
        body: &Digest,
    ) -> Result<(), DatabaseError> {
        for key in keys {
            if self.meaning(key)?.is_none() {
                self.connection
                    .prepare_cached(INSERT_FURTHER_KEY)?
                    .execute(params![id.get(), key.key, body])?;
                self.remember(id, key, body);
            }
        }
        Ok(())
    }

    fn remember(&mut self, id: TaskId, key: &PrintedKey, body: &Digest) {
        self.own_keys.insert(key.key, (id, *body));
        self.key_entries.push((key.fingerprint, id.get()));
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

impl Storage for Batch<'_> {
    type Error = DatabaseError;

    fn fresh(&self, of: (&TenantId, TaskType), most: usize) -> Result<Vec<TaskId>, DatabaseError> {
        Ok(standing::fresh(self.connection, of, most)?)
    }

    fn retries(
        &self,
        of: (&TenantId, TaskType),
        most: usize,
    ) -> Result<Vec<DueRetry>, DatabaseError> {
        Ok(standing::retries(self.connection, of, most)?)
    }

    fn task(&self, tenant_id: &TenantId, id: TaskId) -> Result<Option<Task>, DatabaseError> {
        match transition::find(self.connection, id) {
            // Whoever holds it hears so when he reports.
            Err(DatabaseError::Corrupt(_)) => Ok(None),
            found => Ok(found?.filter(|task| task.tenant_id == *tenant_id)),
        }
    }

    fn apply(
        &mut self,
        id: TaskId,
        scope: &Scope,
        command: &Command,
        at: Timestamp,
    ) -> Result<Result<Moved, ApplyError>, DatabaseError> {
        transition::apply(self.connection, self.given, id, scope, command, at)
    }
}
