//! Forgetting idempotency keys that have expired.

use std::convert::Infallible;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::postgres::PgConnection;

use super::connection::{Pool, Session};
use crate::task::clock::SharedClock;
use crate::task::repository::StoreError;
use crate::task::{TaskId, idempotency};

/// How often it is looked for expired keys.
const PERIOD: Duration = Duration::from_secs(10);
/// How long an expired key stays: to an instance whose clock is behind it may not
/// have expired yet.
const MARGIN: Duration = Duration::from_secs(60);
/// The most keys that are deleted at once.
const MOST: i64 = 1000;

/// Deletes expired keys, oldest first, until it is dropped. Instances do it
/// side by side: what one is about to delete the others pass over.
///
/// A key must have expired by this clock and by the database's: the keys are all
/// instances', and one whose clock is a day ahead must not take them from the
/// others.
pub(super) async fn run(pool: Pool, clock: SharedClock) -> Infallible {
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        period.tick().await;
        let forgotten = async {
            let now = clock.now().min(database_clock(&pool).await?);
            let now = now.checked_sub(MARGIN).unwrap_or(now);
            let expired = TaskId::first_at(idempotency::expiry(now));
            while forget(&pool, expired).await? >= MOST.unsigned_abs() {}
            Ok::<_, StoreError>(())
        };
        if let Err(error) = forgotten.await {
            // Nothing depends on it: an expired key is as good as none.
            tracing::warn!(%error, "expired idempotency keys could not be deleted");
        }
    }
}

async fn database_clock(pool: &Pool) -> Result<Timestamp, StoreError> {
    let millis: i64 = Session::work(pool, async |connection: &mut PgConnection| {
        let now = sqlx::query_scalar("SELECT (extract(epoch FROM now()) * 1000)::bigint");
        Ok(now.fetch_one(connection).await?)
    })
    .await?;
    Timestamp::from_millisecond(millis).map_err(StoreError::failed)
}

/// Deletes some keys of tasks before `expired`; how many.
async fn forget(pool: &Pool, expired: TaskId) -> Result<u64, StoreError> {
    Session::work(pool, async |connection: &mut PgConnection| {
        let deleted = sqlx::query(
            "DELETE FROM idempotency WHERE key_digest IN (
                 SELECT old.key_digest FROM node_lease CROSS JOIN LATERAL (
                     SELECT key_digest FROM idempotency
                     WHERE idempotency.node = node_lease.node AND task_id < $1
                     ORDER BY task_id LIMIT $2 FOR UPDATE SKIP LOCKED
                 ) AS old LIMIT $2
             )",
        )
        .bind(expired.get())
        .bind(MOST)
        .execute(connection)
        .await?;
        Ok(deleted.rows_affected())
    })
    .await
}
