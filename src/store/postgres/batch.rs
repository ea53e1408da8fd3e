//! Creates that travel as one statement: their keys, and the tasks whose keys
//! are new.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, SqlSafeStr};

use super::locked_keys::KEY_TIMEOUT;
use crate::store::row::{self, Code, NewRow};
use crate::task::idempotency::{self, Digest, Idempotency};
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

/// As [`INSERT`], where a create may have several keys: `$8` and `$9` have a row for
/// each key, and `$15` the id of its create. Where a key of it stands for a task
/// already, and with this body, all of them do; where none does, all must be claimed
/// for the new one. That one of them was claimed elsewhere since the statement began
/// is an error, so that nothing is committed, and is seen when it is tried again.
const INSERT_MANY_KEYS: &str = "
WITH limited AS MATERIALIZED (
    SELECT set_config('lock_timeout', $13, true),
        $10 - 8388608 * greatest(0,
            least($14 - (extract(epoch FROM now()) * 1000)::bigint, 31536000000)) AS expired
), key AS MATERIALIZED (
    SELECT key.*, expired
    FROM limited CROSS JOIN
        unnest($8::bytea[], $9::bytea[], $15::bigint[]) WITH ORDINALITY
          AS key (key_digest, body_digest, id, position)
), standing AS MATERIALIZED (
    SELECT DISTINCT ON (key.id) key.id, first.*
    FROM key CROSS JOIN LATERAL (
        SELECT body_digest, node, task_id FROM idempotency
        WHERE idempotency.key_digest = key.key_digest AND task_id >= expired LIMIT 1
    ) AS first
    ORDER BY key.id, position
), claimed AS (
    INSERT INTO idempotency AS known (key_digest, body_digest, node, task_id)
    SELECT key_digest, key.body_digest, coalesce(node, ((id >> 7) & 65535)::integer),
        coalesce(task_id, id)
    FROM key LEFT JOIN standing USING (id)
    WHERE task_id IS NULL OR standing.body_digest = key.body_digest
    ORDER BY key_digest
    ON CONFLICT (key_digest) DO UPDATE SET
        body_digest = excluded.body_digest, node = excluded.node, task_id = excluded.task_id
    WHERE known.task_id < (SELECT expired FROM limited)
    RETURNING key_digest, task_id
), asked AS MATERIALIZED (
    SELECT id, count(*) AS keys, count(claimed.task_id) AS claimed
    FROM key LEFT JOIN claimed USING (key_digest)
    WHERE id NOT IN (SELECT id FROM standing)
    GROUP BY id
), whole AS MATERIALIZED (
    SELECT 1 / (count(*) = 0)::integer AS yes FROM asked WHERE claimed > 0 AND claimed < keys
)
INSERT INTO task
    (node, id, tenant_id, user_id, task_type, status, locale, init_params, src_user_id, created_by)
SELECT ((id >> 7) & 65535)::integer, id, tenant_id, user_id, task_type, $12::smallint, locale,
    init_params, src_user_id, created_by
FROM whole CROSS JOIN
    unnest($1::bigint[], $2::text[], $3::text[], $4::smallint[], $5::text[], $6::text[],
           $7::text[], $11::text[])
      AS new (id, tenant_id, user_id, task_type, locale, init_params, src_user_id, created_by)
WHERE id NOT IN (SELECT id FROM key)
    OR id IN (SELECT id FROM asked WHERE claimed = keys)";

/// The code of the error of a division by zero: see [`INSERT_MANY_KEYS`].
const NOT_WHOLE: &str = "22012";

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

impl<'a> Key<'a> {
    const fn of(key: &'a Digest, body: &'a Digest, id: i64) -> Self {
        Self {
            digest: Some(key.as_slice()),
            body: Some(body.as_slice()),
            id,
        }
    }

    /// The place of a create that has none.
    const fn none(row: &NewRow) -> Self {
        Self {
            digest: None,
            body: None,
            id: row.id.get(),
        }
    }
}

impl BatchError {
    fn of(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|error| error.code());
        if code.as_deref() == Some(NOT_WHOLE) {
            Self::KeyTaken
        } else {
            Self::Sqlx(error)
        }
    }
}

/// Creates that share a statement.
pub(super) struct Batch<'a> {
    /// Everything that is asked for.
    rows: Vec<Row<'a>>,
    /// What goes to the database, a column each: of repetitions of one request only
    /// the first does.
    ids: Vec<i64>,
    tenant_ids: Vec<&'a str>,
    user_ids: Vec<&'a str>,
    task_types: Vec<i16>,
    locales: Vec<&'a str>,
    init_params: Vec<String>,
    src_user_ids: Vec<Option<&'a str>>,
    /// A row for each key, and for each create that has none.
    keys: Vec<Key<'a>>,
    created_by: Vec<Option<&'a str>>,
}

/// A create, and what is done with it.
enum Row<'a> {
    Asked(&'a NewRow),
    /// Nothing: it shares a key with one before it and is another request. What its
    /// keys stand for is known once that one is committed.
    Entangled,
}

/// A key of a create, if it has one.
struct Key<'a> {
    digest: Option<&'a [u8]>,
    body: Option<&'a [u8]>,
    /// The id of the create that makes its task.
    id: i64,
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
    /// A request has several keys, and one of them was claimed for another task while
    /// the statement ran.
    #[error("one of several idempotency keys was claimed elsewhere meanwhile")]
    KeyTaken,
}

impl<'a> Batch<'a> {
    pub(super) fn new(rows: impl Iterator<Item = &'a NewRow>) -> Result<Self, BatchError> {
        let (room, _) = rows.size_hint();
        let mut batch = Self {
            ids: Vec::with_capacity(room),
            tenant_ids: Vec::with_capacity(room),
            user_ids: Vec::with_capacity(room),
            task_types: Vec::with_capacity(room),
            locales: Vec::with_capacity(room),
            init_params: Vec::with_capacity(room),
            src_user_ids: Vec::with_capacity(room),
            keys: Vec::with_capacity(room),
            created_by: Vec::with_capacity(room),
            rows: Vec::with_capacity(room),
        };
        // Which request each key came with first, and whether that is asked for now.
        let mut seen: HashMap<Digest, (&Idempotency, bool)> = HashMap::with_capacity(room);
        for row in rows {
            let Some(request) = &row.idempotency else {
                batch.push(row)?;
                batch.keys.push(Key::none(row));
                batch.rows.push(Row::Asked(row));
                continue;
            };
            let first = request.each_key().find_map(|key| seen.get(key).copied());
            let is_asked = first.is_none_or(|first| first == (request, true));
            if first.is_none() {
                batch.push(row)?;
                let id = row.id.get();
                let keys = request.each_key();
                let keys = keys.map(|key| Key::of(key, &request.body, id));
                batch.keys.extend(keys);
            }
            for key in request.each_key() {
                seen.entry(*key).or_insert((request, is_asked));
            }
            batch.rows.push(if is_asked {
                Row::Asked(row)
            } else {
                Row::Entangled
            });
        }
        Ok(batch)
    }

    fn push(&mut self, row: &'a NewRow) -> Result<(), BatchError> {
        let NewRow { id, task, .. } = row;
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
        self.created_by
            .push(task.created_by.as_ref().map(Identifier::as_str));
        Ok(())
    }

    /// Commits the batch; what became of each create, in order: nothing yet, if it is
    /// entangled. Keys that have expired at `now`, and by the database's clock, are
    /// free.
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
    ) -> Result<Vec<Option<Created>>, BatchError> {
        // A row for each create: none has several keys.
        let has_many_keys = self.keys.len() != self.ids.len();
        let insert = if has_many_keys {
            INSERT_MANY_KEYS
        } else {
            INSERT
        };
        let statement = if again {
            AssertSqlSafe(format!("{insert}{UNLESS_THERE}")).into_sql_str()
        } else {
            insert.into_sql_str()
        };
        let of_create = self
            .keys
            .iter()
            .filter(|key| !has_many_keys || key.digest.is_some());
        let of_create: Vec<&Key<'_>> = of_create.collect();
        // The attempt before may hold them.
        let lock_timeout = if again { "0" } else { KEY_TIMEOUT };
        let mut query = sqlx::query(statement)
            .bind(&self.ids)
            .bind(&self.tenant_ids)
            .bind(&self.user_ids)
            .bind(&self.task_types)
            .bind(&self.locales)
            .bind(&self.init_params)
            .bind(&self.src_user_ids)
            .bind(of_create.iter().map(|key| key.digest).collect::<Vec<_>>())
            .bind(of_create.iter().map(|key| key.body).collect::<Vec<_>>())
            .bind(TaskId::first_at(idempotency::expiry(now)).get())
            .bind(&self.created_by)
            .bind(TaskStatus::New.code())
            .bind(lock_timeout)
            .bind(now.as_millisecond());
        if has_many_keys {
            query = query.bind(of_create.iter().map(|key| key.id).collect::<Vec<_>>());
        }
        let inserted = query.execute(&mut *connection).await;
        let inserted = inserted.map_err(BatchError::of)?.rows_affected();
        if usize::try_from(inserted) == Ok(self.rows.len()) {
            // Each has its task, and none shares its key with another.
            let ids = self.asked().map(|row| row.id);
            return Ok(ids.map(Created::New).map(Some).collect());
        }
        let known = self.known_keys(connection).await?;
        self.outcome(&known)
    }

    /// Those that are asked for now.
    fn asked(&self) -> impl Iterator<Item = &'a NewRow> {
        self.rows.iter().filter_map(|row| match row {
            Row::Asked(row) => Some(*row),
            Row::Entangled => None,
        })
    }

    async fn known_keys(&self, connection: &mut PgConnection) -> Result<KnownKeys, BatchError> {
        let requests = self.asked().filter_map(|row| row.idempotency.as_ref());
        let keys: Vec<&[u8]> = requests
            .flat_map(Idempotency::each_key)
            .map(|key| &key[..])
            .collect();
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
    fn outcome(&self, known: &KnownKeys) -> Result<Vec<Option<Created>>, BatchError> {
        let outcome = |row: &Row<'_>| match row {
            Row::Asked(row) => of_keys(row, known).map(Some),
            Row::Entangled => Ok(None),
        };
        self.rows.iter().map(outcome).collect()
    }
}

/// What became of a create, given what the keys stand for.
fn of_keys(row: &NewRow, known: &KnownKeys) -> Result<Created, BatchError> {
    let Some(request) = &row.idempotency else {
        return Ok(Created::New(row.id));
    };
    let first = request.each_key().find_map(|key| known.get(&key[..]));
    let (id, body) = first.ok_or(BatchError::KeyGone)?;
    Ok(if *id == row.id {
        Created::New(row.id)
    } else {
        Created::of_existing(request, *id, *body)
    })
}
