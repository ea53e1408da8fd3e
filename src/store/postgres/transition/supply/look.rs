//! A look for work that is not known of yet.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::Rng as _;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;
use tokio::time::Instant;

use super::{Head, Supply, Work};
use crate::store::postgres::transition::rows::NOW;
use crate::store::row::Code;
use crate::task::{Identifier, TaskId, TaskStatus, TaskType, TenantId};

/// How much later than those that were seen a task may appear, in the ordinary:
/// commits take their time, and clocks of instances differ.
const LAG: SignedDuration = SignedDuration::from_secs(10);
/// No look is made more often than this many times as long as the last one took, which
/// grows with the tenants: they take a hundredth of the time, or less.
const PACE: u32 = 100;
/// And neither more often than once in the one, nor less often than once in the other.
const LEAST_PERIOD: Duration = Duration::from_millis(100);
const MOST_PERIOD: Duration = Duration::from_millis(750);
/// Up to this part less or more, at random, so that instances do not look all at once.
const JITTER: f64 = 0.2;
/// A look from the very first task on passes over all that was ever claimed, where
/// an old snapshot keeps that. It is done no more often than this many times as long
/// as it takes.
const FULL_PACE: u32 = 200;

impl Supply {
    /// Looks for what other instances wrote, and what fell from view: for each tenant
    /// and type that has tasks, a few lookups in indexes.
    pub(in crate::store::postgres::transition) async fn look(
        &mut self,
        connection: &mut PgConnection,
    ) -> Result<(), sqlx::Error> {
        let asked = Instant::now();
        let is_full = self.next_full_look.is_none_or(|due| due <= asked);
        let pairs = pairs(&mut *connection).await?;
        let floor = |key| {
            let known: Work = self.work.get(key).copied().unwrap_or_default();
            if is_full { Work::default() } else { known }
        };
        let floors: Vec<Work> = pairs.iter().map(floor).collect();
        let heads: Vec<(i64, Option<i64>, Option<i64>)> =
            sqlx::query_as(AssertSqlSafe(heads_query()))
                .bind(pairs.iter().map(|(of, _)| of.as_str()).collect::<Vec<_>>())
                .bind(pairs.iter().map(|(_, of)| of.code()).collect::<Vec<_>>())
                .bind(floors.iter().map(|of| lower(of.fresh)).collect::<Vec<_>>())
                .bind(floors.iter().map(|of| earlier(of.due)).collect::<Vec<_>>())
                .fetch_all(connection)
                .await?;
        for (pair, (now, fresh, due)) in pairs.into_iter().zip(heads) {
            self.clock = Some((Instant::now(), now));
            let work = self.work.entry(pair).or_default();
            for (head, found) in [(&mut work.fresh, fresh), (&mut work.due, due)] {
                head.is_there = found.is_some();
                if let Some(found) = found {
                    head.after = found.saturating_sub(1);
                }
            }
        }
        let now = Instant::now();
        let took = now.duration_since(asked);
        self.looked = Some(now);
        self.next_look = now.checked_add(period(took));
        if is_full {
            self.next_full_look = now.checked_add(took.saturating_mul(FULL_PACE));
        }
        Ok(())
    }
}

/// The tenants and types that have tasks: one lookup in `task_by_state` each, from
/// its end on. There the tasks of a pair that have ended come first; at the other end
/// lie those that were claimed, dead, as long as an old snapshot keeps them.
async fn pairs(connection: &mut PgConnection) -> Result<Vec<(TenantId, TaskType)>, sqlx::Error> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "WITH RECURSIVE pair AS (
             (SELECT tenant_id, task_type FROM task
              ORDER BY tenant_id DESC, task_type DESC, status DESC, id DESC LIMIT 1)
             UNION ALL
             SELECT next.tenant_id, next.task_type FROM pair CROSS JOIN LATERAL (
                 SELECT tenant_id, task_type FROM task
                 WHERE (tenant_id, task_type) < (pair.tenant_id, pair.task_type)
                 ORDER BY tenant_id DESC, task_type DESC, status DESC, id DESC LIMIT 1
             ) AS next
         )
         SELECT tenant_id, task_type::bigint FROM pair",
    )
    .fetch_all(connection)
    .await?;
    let pair = |(tenant_id, task_type): (String, i64)| {
        let tenant_id: Identifier = tenant_id.parse().ok()?;
        Some((tenant_id.into(), TaskType::from_code(task_type)?))
    };
    Ok(rows.into_iter().filter_map(pair).collect())
}

/// The first of each kind.
fn heads_query() -> String {
    format!(
        "SELECT {NOW}, fresh.id, due.due_at
         FROM unnest($1::text[], $2::smallint[], $3::bigint[], $4::bigint[]) WITH ORDINALITY
             AS source (tenant, kind, fresh_after, due_after, position)
         LEFT JOIN LATERAL (
             SELECT id FROM task
             WHERE tenant_id = tenant AND task_type = kind AND status = {} AND id > fresh_after
             ORDER BY id LIMIT 1) AS fresh ON true
         LEFT JOIN LATERAL (
             SELECT due_at FROM task
             WHERE tenant_id = tenant AND task_type = kind AND due_at > due_after
             ORDER BY due_at LIMIT 1) AS due ON true
         ORDER BY position",
        TaskStatus::New.code()
    )
}

/// A little lower than where it begins.
fn lower(fresh: Head) -> i64 {
    TaskId::new(fresh.after).map_or(0, |id| {
        let earlier = id.created_at().checked_sub(LAG).unwrap_or(Timestamp::MIN);
        TaskId::first_at(earlier).get()
    })
}

/// A little earlier than where it begins.
fn earlier(due: Head) -> i64 {
    let lag = i64::try_from(LAG.as_millis()).unwrap_or(i64::MAX);
    due.after.saturating_sub(lag)
}

/// When it is to be looked again, after a look that took so long.
fn period(took: Duration) -> Duration {
    let jitter = rand::rng().random_range(1.0 - JITTER..=1.0 + JITTER);
    let period = took.saturating_mul(PACE);
    period.clamp(LEAST_PERIOD, MOST_PERIOD).mul_f64(jitter)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A task and a waiter at another instance meet within 1 s: worker.md, law 10.
        #[test]
        fn a_look_takes_little_of_the_time_and_is_never_long_in_coming(micros in 0..10_000_000_u64) {
            let took = Duration::from_micros(micros);
            let period = period(took);
            let least = took.saturating_mul(80).min(Duration::from_millis(600));
            prop_assert!(period >= least.max(Duration::from_millis(80)), "{period:?}");
            prop_assert!(period <= Duration::from_millis(900), "{period:?}");
        }
    }
}
