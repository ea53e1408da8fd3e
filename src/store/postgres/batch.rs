//! Creates that travel as one statement: their keys, and the tasks whose keys
//! are new.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, SqlSafeStr};

use super::locked_keys::KEY_TIMEOUT;
use crate::store::row::{self, Code, NewRow};
use crate::task::idempotency::{self, Digest};
use crate::task::repository::Created;
use crate::task::{Identifier, TaskId, TaskParameters, TaskStatus};

/// Keys are claimed in their order, so that two instances that claim the same
/// ones never wait for each other in a circle. A key that another transaction is
/// about to claim is waited for, as long as `$13` says: that is set for the
/// statement alone, when it has its tables. An expired one is taken over, if it has
/// expired by the database's clock as well: an id grows by 2^23 a millisecond.
const INSERT: &str = "
WITH limited AS MATERIALIZED (
    SELECT set_config('lock_timeout', $13, true)
), new AS (
    SELECT new.*, ((id >> 7) & 65535)::integer AS node
    FROM limited CROSS JOIN
        unnest($1::bigint[], $2::text[], $3::text[], $4::smallint[], $5::text[], $6::text[],
               $7::text[], $8::bytea[], $9::bytea[], $11::text[])
      AS new (id, tenant_id, user_id, task_type, locale, init_params,
              src_user_id, key_digest, body_digest, created_by)
), claimed AS (
    INSERT INTO idempotency AS known (key_digest, body_digest, node, task_id)
    SELECT key_digest, body_digest, node, id FROM new
    WHERE key_digest IS NOT NULL ORDER BY key_digest
    ON CONFLICT (key_digest) DO UPDATE SET
        body_digest = excluded.body_digest, node = excluded.node, task_id = excluded.task_id
    WHERE known.task_id < $10 - 8388608 * greatest(0,
        least($14 - (extract(epoch FROM now()) * 1000)::bigint, 31536000000))
    RETURNING task_id
)
INSERT INTO task
    (node, id, tenant_id, user_id, task_type, status, locale, init_params, src_user_id, created_by)
SELECT node, id, tenant_id, user_id, task_type, $12::smallint, locale, init_params, src_user_id,
    created_by FROM new
WHERE key_digest IS NULL OR id IN (SELECT task_id FROM claimed)";

/// What is added to [`INSERT`] where an attempt before this one may have been
/// committed: its tasks stay as they are. One that is under way is waited for.
///
/// They are written all the same. The first attempt may still wait for a standby,
/// and the commit of who has only looked would not.
const UNLESS_THERE: &str = " ON CONFLICT (node, id) DO UPDATE SET locale = task.locale";

const KNOWN_KEYS: &str =
    "SELECT key_digest, task_id, body_digest FROM idempotency WHERE key_digest = ANY($1)";

/// What keys stand for: the task, and the digest of the body it was asked with.
type KnownKeys = HashMap<Vec<u8>, (TaskId, Digest)>;

/// Creates that share a statement.
pub(super) struct Batch<'a> {
    /// Everything that is asked for.
    rows: Vec<&'a NewRow>,
    /// What goes to the database, a column each: of several creates with one key
    /// only the first does.
    ids: Vec<i64>,
    tenant_ids: Vec<&'a str>,
    user_ids: Vec<&'a str>,
    task_types: Vec<i16>,
    locales: Vec<&'a str>,
    init_params: Vec<String>,
    src_user_ids: Vec<Option<&'a str>>,
    keys: Vec<Option<&'a [u8]>>,
    bodies: Vec<Option<&'a [u8]>>,
    created_by: Vec<Option<&'a str>>,
}

/// Why a batch was not committed, as far as is known.
#[derive(Debug, thiserror::Error)]
pub(super) enum BatchError {
    #[error(transparent)]
    Sqlx(#[from] sqlx::Error),
    #[error("not JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    /// A key was forgotten between the claim that it turned down and the look at
    /// what it stands for.
    #[error("an idempotency key was there and is gone")]
    KeyGone,
}

impl<'a> Batch<'a> {
    pub(super) fn new(rows: impl Iterator<Item = &'a NewRow>) -> Result<Self, BatchError> {
        let rows: Vec<&NewRow> = rows.collect();
        let room = rows.len();
        let mut batch = Self {
            ids: Vec::with_capacity(room),
            tenant_ids: Vec::with_capacity(room),
            user_ids: Vec::with_capacity(room),
            task_types: Vec::with_capacity(room),
            locales: Vec::with_capacity(room),
            init_params: Vec::with_capacity(room),
            src_user_ids: Vec::with_capacity(room),
            keys: Vec::with_capacity(room),
            bodies: Vec::with_capacity(room),
            created_by: Vec::with_capacity(room),
            rows: Vec::new(),
        };
        let mut seen = HashSet::with_capacity(room);
        for row in &rows {
            if row
                .idempotency
                .is_none_or(|request| seen.insert(request.key))
            {
                batch.push(row)?;
            }
        }
        batch.rows = rows;
        Ok(batch)
    }

    fn push(&mut self, row: &'a NewRow) -> Result<(), BatchError> {
        let NewRow {
            id,
            task,
            idempotency,
        } = row;
        self.ids.push(id.get());
        self.tenant_ids.push(task.tenant_id.as_str());
        self.user_ids.push(task.user_id.as_str());
        self.task_types.push(task.parameters.task_type().code());
        self.locales.push(task.locale);
        self.init_params
            .push(row::write_parameters(&task.parameters)?);
        self.src_user_ids.push(match &task.parameters {
            TaskParameters::Transfer { src_user_id, .. } => Some(src_user_id.as_str()),
            TaskParameters::BatchImport { .. } => None,
        });
        self.keys
            .push(idempotency.as_ref().map(|request| &request.key[..]));
        self.bodies
            .push(idempotency.as_ref().map(|request| &request.body[..]));
        self.created_by
            .push(task.created_by.as_ref().map(Identifier::as_str));
        Ok(())
    }

    /// Commits the batch; what became of each create, in order. Keys that have
    /// expired at `now`, and by the database's clock, are free.
    ///
    /// A key that is locked is waited for a moment only; unless it is tried `again`.
    ///
    /// An id that is in the database already is an error, and nothing is
    /// committed then; unless it is tried `again`, and an attempt whose answer got
    /// lost may have put it there.
    pub(super) async fn commit(
        &self,
        connection: &mut PgConnection,
        now: Timestamp,
        again: bool,
    ) -> Result<Vec<Created>, BatchError> {
        let statement = if again {
            AssertSqlSafe(format!("{INSERT}{UNLESS_THERE}")).into_sql_str()
        } else {
            INSERT.into_sql_str()
        };
        // The attempt before may hold them.
        let lock_timeout = if again { "0" } else { KEY_TIMEOUT };
        let inserted = sqlx::query(statement)
            .bind(&self.ids)
            .bind(&self.tenant_ids)
            .bind(&self.user_ids)
            .bind(&self.task_types)
            .bind(&self.locales)
            .bind(&self.init_params)
            .bind(&self.src_user_ids)
            .bind(&self.keys)
            .bind(&self.bodies)
            .bind(TaskId::first_at(idempotency::expiry(now)).get())
            .bind(&self.created_by)
            .bind(TaskStatus::New.code())
            .bind(lock_timeout)
            .bind(now.as_millisecond())
            .execute(&mut *connection)
            .await?
            .rows_affected();
        if usize::try_from(inserted) == Ok(self.rows.len()) {
            // Each has its task, and none shares its key with another.
            return Ok(self.rows.iter().map(|row| Created::New(row.id)).collect());
        }
        let known = self.known_keys(connection).await?;
        self.outcome(&known)
    }

    async fn known_keys(&self, connection: &mut PgConnection) -> Result<KnownKeys, BatchError> {
        let keys: Vec<&[u8]> = self.keys.iter().copied().flatten().collect();
        let rows: Vec<(Vec<u8>, i64, Vec<u8>)> = sqlx::query_as(KNOWN_KEYS)
            .bind(keys)
            .fetch_all(connection)
            .await?;
        Ok(rows
            .into_iter()
            .filter_map(|(key, task_id, body)| {
                let task_id = TaskId::new(task_id)?;
                Some((key, (task_id, body.try_into().ok()?)))
            })
            .collect())
    }

    /// What became of each create, given what the keys stand for.
    fn outcome(&self, known: &KnownKeys) -> Result<Vec<Created>, BatchError> {
        let outcome = |row: &&NewRow| match &row.idempotency {
            Some(request) => {
                let (id, body) = known.get(&request.key[..]).ok_or(BatchError::KeyGone)?;
                Ok(if *id == row.id {
                    Created::New(row.id)
                } else {
                    Created::of_existing(request, *id, *body)
                })
            }
            None => Ok(Created::New(row.id)),
        };
        self.rows.iter().map(outcome).collect()
    }
}
