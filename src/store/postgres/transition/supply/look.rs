//! A look for work that is not known of yet.

use jiff::{SignedDuration, Timestamp};
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
/// A look from the very first task on passes over all that was ever claimed, where
/// an old snapshot keeps that. It is done no more often than this many times as long
/// as it takes.
const PACE: u32 = 200;

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
        self.looked = Some(now);
        if is_full {
            let pause = asked.elapsed().saturating_mul(PACE);
            self.next_full_look = now.checked_add(pause);
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
