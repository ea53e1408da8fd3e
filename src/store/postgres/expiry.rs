//! Forgetting idempotency keys that have expired.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sqlx::postgres::PgConnection;

use super::connection::{Pool, Session};
use crate::task::clock::SharedClock;
use crate::task::repository::StoreError;
use crate::task::{TaskId, idempotency};

/// The time between two searches for expired keys.
const PERIOD: Duration = Duration::from_secs(10);
/// How long an expired key stays: to an instance whose clock is behind it may not
/// have expired yet.
const MARGIN: Duration = Duration::from_secs(60);
/// The most keys that are deleted at once.
const MOST: i64 = 1000;

/// How long it is remembered how far keys are deleted.
const FORGET_REACHED: Duration = Duration::from_secs(3600);

const FORGET: &str = "
WITH deleted AS (
    DELETE FROM idempotency WHERE key_digest IN (
        SELECT old.key_digest FROM node_lease
        LEFT JOIN unnest($3::integer[], $4::bigint[]) AS reached (node, task_id)
            ON reached.node = node_lease.node
        CROSS JOIN LATERAL (
            SELECT key_digest FROM idempotency
            WHERE idempotency.node = node_lease.node
              AND idempotency.task_id > coalesce(reached.task_id, 0)
              AND idempotency.task_id < $1
            ORDER BY idempotency.task_id LIMIT $2 FOR UPDATE SKIP LOCKED
        ) AS old LIMIT $2
    ) RETURNING node, task_id
)
SELECT node, max(task_id), count(*) FROM deleted GROUP BY node";

/// Deletes expired keys, oldest first, until it is dropped. Instances do it
/// side by side: what one is about to delete the others pass over.
///
/// A key must have expired by this clock and by the database's: the keys are all
/// instances', and one whose clock is a day ahead must not take them from the
/// others.
pub(super) async fn run(pool: Pool, clock: SharedClock) -> Infallible {
    let mut reached = Reached::nothing();
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        period.tick().await;
        let forgotten = async {
            let now = clock.now().min(database_clock(&pool).await?);
            let now = now.checked_sub(MARGIN).unwrap_or(now);
            let first_kept = TaskId::first_at(idempotency::expiry(now));
            while reached.forget(&pool, first_kept).await? {}
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

/// How far keys are deleted, by node: the last task whose key was. To begin at the
/// start again, with each statement, costs more the more dead entries there are,
/// and a snapshot that somebody keeps open keeps them all.
struct Reached {
    tasks: HashMap<i32, i64>,
    since: Instant,
}

impl Reached {
    fn nothing() -> Self {
        Self {
            tasks: HashMap::new(),
            since: Instant::now(),
        }
    }

    /// Deletes some keys of tasks before `first_kept`; whether there may be more.
    async fn forget(&mut self, pool: &Pool, first_kept: TaskId) -> Result<bool, StoreError> {
        // What was locked was passed over.
        if self.since.elapsed() > FORGET_REACHED {
            *self = Self::nothing();
        }
        let (nodes, tasks): (Vec<i32>, Vec<i64>) = self.tasks.iter().unzip();
        let deleted: Vec<(i32, i64, i64)> =
            Session::work(pool, async |connection: &mut PgConnection| {
                Ok(sqlx::query_as(FORGET)
                    .bind(first_kept.get())
                    .bind(MOST)
                    .bind(nodes)
                    .bind(tasks)
                    .fetch_all(connection)
                    .await?)
            })
            .await?;
        let mut all = 0_i64;
        for (node, last, count) in deleted {
            self.tasks.insert(node, last);
            all = all.saturating_add(count);
        }
        Ok(all >= MOST)
    }
}
