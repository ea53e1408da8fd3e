//! Idempotency keys that another session of the database holds locked. Who asks
//! with one waits by itself, and the writer goes on with the others.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};
use tokio::time::{Instant, timeout_at};

use super::connection::{Pool, Session};
use crate::store::row::{NewRow, Request};
use crate::task::idempotency::{Digest, Idempotency};
use crate::task::repository::StoreError;

/// How long a statement waits for a key, in the database's notation.
pub(super) const KEY_TIMEOUT: &str = "200ms";
/// How long a create waits for its key, all in all.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a key that was found locked is taken to be.
const MEMORY: Duration = Duration::from_secs(10);
/// The code of the error of who waited for a lock as long as it may.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Waits for the key as a claim does, for a claim under way as well, and changes
/// nothing.
const WAIT: &str = "
INSERT INTO idempotency AS known (key_digest, body_digest, node, task_id)
VALUES ($1, '', 0, 0)
ON CONFLICT (key_digest) DO UPDATE SET task_id = known.task_id WHERE false";

/// Those of these keys whose rows are locked.
const LOCKED: &str = "
WITH free AS MATERIALIZED (
    SELECT key_digest FROM idempotency WHERE key_digest = ANY($1) FOR UPDATE SKIP LOCKED
)
SELECT key_digest FROM idempotency WHERE key_digest = ANY($1)
EXCEPT SELECT key_digest FROM free";

/// The keys that were found locked.
#[derive(Default)]
pub(super) struct LockedKeys {
    keys: Mutex<HashMap<Digest, Instant>>,
    /// One waits at a time, a moment each: others need the sessions.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, thiserror::Error)]
#[error("another session of the database holds the idempotency key locked")]
struct KeyLocked;

impl LockedKeys {
    fn keys(&self) -> MutexGuard<'_, HashMap<Digest, Instant>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A key of this create was found locked, whichever it is; what was asked for.
    pub(super) fn found(&self, row: NewRow) -> Request {
        let keys = row.idempotency.iter().flat_map(Idempotency::keys);
        keys.for_each(|key| self.remember(key));
        row.into_request()
    }

    fn remember(&self, key: Digest) {
        let mut keys = self.keys();
        keys.retain(|_, seen| seen.elapsed() < MEMORY);
        keys.insert(key, Instant::now());
    }

    /// Waits for this key if it was found locked, in sessions of `pool`.
    ///
    /// # Errors
    ///
    /// When it is still locked a while after `asked`; every [`StoreError`] of the
    /// database.
    pub(super) async fn wait(
        &self,
        pool: &Pool,
        key: Digest,
        asked: Instant,
    ) -> Result<(), StoreError> {
        let until = asked.checked_add(PATIENCE).unwrap_or(asked);
        while self.is_locked(key) {
            let turn = timeout_at(until, self.turn.lock()).await;
            if turn.is_err() || Instant::now() >= until {
                return Err(StoreError::failed(KeyLocked));
            }
            if !self.is_locked(key) {
                break;
            }
            let waited = Session::work(pool, async |session: &mut PgConnection| {
                wait_a_moment(session, key).await
            });
            if waited.await? {
                self.keys().remove(&key);
            } else {
                self.remember(key);
            }
        }
        Ok(())
    }

    fn is_locked(&self, key: Digest) -> bool {
        let keys = self.keys();
        keys.get(&key).is_some_and(|seen| seen.elapsed() < MEMORY)
    }
}

/// Whether the key is free, after at most [`KEY_TIMEOUT`].
async fn wait_a_moment(session: &mut PgConnection, key: Digest) -> Result<bool, StoreError> {
    let mut transaction = session.begin().await?;
    let limit = format!("SET LOCAL lock_timeout = '{KEY_TIMEOUT}'");
    transaction.execute(sqlx::AssertSqlSafe(limit)).await?;
    let waited = sqlx::query(WAIT)
        .bind(&key[..])
        .execute(&mut *transaction)
        .await;
    transaction.rollback().await?;
    match waited {
        Err(error) if is_lock_timeout(&error) => Ok(false),
        waited => Ok(waited.map(|_| true)?),
    }
}

/// Those of these keys that are locked, as far as their rows can be seen.
pub(super) async fn locked(
    session: &mut PgConnection,
    keys: Vec<&[u8]>,
) -> Result<Vec<Vec<u8>>, sqlx::Error> {
    let mut transaction = session.begin().await?;
    let locked = sqlx::query_scalar(LOCKED)
        .bind(keys)
        .fetch_all(&mut *transaction)
        .await?;
    transaction.rollback().await?;
    Ok(locked)
}

/// Whether it waited for a lock as long as it may.
pub(super) fn is_lock_timeout(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.code().as_deref() == Some(LOCK_NOT_AVAILABLE))
}
