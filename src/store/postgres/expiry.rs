//! Forgetting idempotency keys that have expired.

use std::time::Duration;

use sqlx::postgres::PgConnection;

use super::connection::{Pool, Session};
use crate::store::StoreError;
use crate::task::clock::SharedClock;
use crate::task::{TaskId, idempotency};

/// How often it is looked for expired keys.
const PERIOD: Duration = Duration::from_secs(10);
/// The most keys that are deleted at once.
const MOST: i64 = 1000;

/// Deletes expired keys, oldest first, for as long as it runs. Instances do it
/// side by side: what one is about to delete the others pass over.
pub(super) async fn run(pool: Pool, clock: SharedClock) {
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        period.tick().await;
        let expired = TaskId::first_at(idempotency::expiry(clock.now()));
        let forgotten = async {
            while forget(&pool, expired).await? >= MOST.unsigned_abs() {}
            Ok::<_, StoreError>(())
        };
        if let Err(error) = forgotten.await {
            // Nothing depends on it: an expired key is as good as none.
            tracing::warn!(%error, "expired idempotency keys could not be deleted");
        }
    }
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
