//! A statement for each table.

use std::time::Duration;

use sqlx::postgres::PgConnection;

use super::{Changes, Touched};
use crate::store::postgres::transition::rows::Key;
use crate::store::row::{self, Code, TaskRow};
use crate::task::attempt::Fence;
use crate::task::life_cycle::LeaseChange;
use crate::task::{Identifier, TaskId};

/// The task and its row of `lease`, together in both directions.
const WRITE_TASKS: &str = "
WITH over AS (
    DELETE FROM lease USING unnest($20::integer[], $21::bigint[]) AS old (of_node, of_task)
    WHERE node = of_node AND task_id = of_task
), held AS (
    INSERT INTO lease (node, task_id, fence, tenant_id, holder, claim_id, ends_at)
    SELECT node, task_id, fence, tenant_id, holder, claim_id,
        clock_timestamp() + millis * interval '1 millisecond'
    FROM unnest($22::integer[], $23::bigint[], $24::bigint[], $25::text[], $26::text[],
                $27::text[], $28::bigint[])
      AS new (node, task_id, fence, tenant_id, holder, claim_id, millis)
    ON CONFLICT (node, task_id) DO UPDATE SET
        fence = excluded.fence, holder = excluded.holder, claim_id = excluded.claim_id,
        ends_at = excluded.ends_at
)
UPDATE task SET status = new.status, result_code = new.result_code,
    started_at = new.started_at, ended_at = new.ended_at, fence = new.fence,
    attempts_counted = new.attempts_counted, claim_id = new.claim_id, worker = new.worker,
    holder = new.holder, lease_seconds = new.lease_seconds, claimed_at = new.claimed_at,
    progress_at = new.progress_at, due_at = new.due_at,
    cancel_requested = new.cancel_requested, success_count = new.success_count,
    fail_count = new.fail_count, failure_rows = new.failure_rows
FROM unnest($1::integer[], $2::bigint[], $3::smallint[], $4::text[], $5::bigint[], $6::bigint[],
            $7::bigint[], $8::bigint[], $9::text[], $10::text[], $11::text[], $12::bigint[],
            $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[],
            $18::bigint[], $19::bigint[])
  AS new (of_node, of_id, status, result_code, started_at, ended_at, fence, attempts_counted,
          claim_id, worker, holder, lease_seconds, claimed_at, progress_at, due_at,
          cancel_requested, success_count, fail_count, failure_rows)
WHERE task.node = of_node AND task.id = of_id";

/// Leases that stand for longer now, of attempts that still run.
const RENEW: &str = "
UPDATE lease SET ends_at = clock_timestamp() + millis * interval '1 millisecond'
FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[])
  AS new (of_node, of_task, of_fence, millis)
WHERE node = of_node AND task_id = of_task AND fence = of_fence";

const INSERT_ATTEMPTS: &str = "
INSERT INTO attempt (task_id, fence, worker, holder, started_at, ended_at, how, code)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::bigint[],
                     $6::bigint[], $7::smallint[], $8::text[])";

const INSERT_ACTIONS: &str = "
INSERT INTO action (task_id, at, kind, credential, user_id)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::text[], $5::text[])";

const INSERT_FAILURES: &str = "
INSERT INTO import_failure (task_id, fence, position, user_name, description)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[])";

/// Why nothing was committed.
#[derive(Debug, thiserror::Error)]
pub(in crate::store::postgres::transition) enum WriteError {
    #[error(transparent)]
    Sqlx(#[from] sqlx::Error),
    /// Since it was read that an attempt runs its lease has ended.
    #[error("a lease ended meanwhile")]
    LeaseGone,
}

impl Changes {
    /// Writes it all.
    pub(in crate::store::postgres::transition) async fn write(
        &self,
        connection: &mut PgConnection,
    ) -> Result<(), WriteError> {
        self.write_tasks(connection).await?;
        self.write_renewals(connection).await?;
        self.write_attempts(connection).await?;
        self.write_actions(connection).await?;
        self.write_failures(connection).await?;
        Ok(())
    }

    async fn write_tasks(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let written: Vec<_> = self.written().collect();
        if written.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = written
            .iter()
            .map(|(key, touched)| (*key, TaskRow::of(&touched.task)))
            .collect();
        macro_rules! column {
            ($column:ident) => {
                rows.iter().map(|(_, row)| &row.$column).collect::<Vec<_>>()
            };
        }
        let over: Vec<&Key> = written
            .iter()
            .filter(|(_, touched)| touched.lease == LeaseChange::Over)
            .map(|(key, _)| *key)
            .collect();
        let held: Vec<Held<'_>> = written
            .iter()
            .filter_map(|(key, touched)| Held::of(key, touched))
            .collect();
        sqlx::query(WRITE_TASKS)
            .bind(rows.iter().map(|(key, _)| key.node).collect::<Vec<_>>())
            .bind(rows.iter().map(|(key, _)| key.id).collect::<Vec<_>>())
            .bind(column!(status))
            .bind(column!(result_code))
            .bind(column!(started_at))
            .bind(column!(ended_at))
            .bind(column!(fence))
            .bind(column!(attempts_counted))
            .bind(column!(claim_id))
            .bind(column!(worker))
            .bind(column!(holder))
            .bind(column!(lease_seconds))
            .bind(column!(claimed_at))
            .bind(column!(progress_at))
            .bind(column!(due_at))
            .bind(column!(cancel_requested))
            .bind(column!(success_count))
            .bind(column!(fail_count))
            .bind(column!(failure_rows))
            .bind(over.iter().map(|key| key.node).collect::<Vec<_>>())
            .bind(over.iter().map(|key| key.id).collect::<Vec<_>>())
            .bind(held.iter().map(|held| held.key.node).collect::<Vec<_>>())
            .bind(held.iter().map(|held| held.key.id).collect::<Vec<_>>())
            .bind(held.iter().map(|held| held.fence).collect::<Vec<_>>())
            .bind(held.iter().map(|held| held.tenant_id).collect::<Vec<_>>())
            .bind(held.iter().map(|held| held.holder).collect::<Vec<_>>())
            .bind(held.iter().map(|held| &held.claim_id).collect::<Vec<_>>())
            .bind(held.iter().map(|held| held.millis).collect::<Vec<_>>())
            .execute(connection)
            .await?;
        Ok(())
    }

    async fn write_renewals(&self, connection: &mut PgConnection) -> Result<(), WriteError> {
        if self.renewals.is_empty() {
            return Ok(());
        }
        let renewals = self.renewals.iter();
        let (keys, leases): (Vec<&Key>, Vec<&(Fence, Duration)>) = renewals.unzip();
        let renewed = sqlx::query(RENEW)
            .bind(keys.iter().map(|key| key.node).collect::<Vec<_>>())
            .bind(keys.iter().map(|key| key.id).collect::<Vec<_>>())
            .bind(
                leases
                    .iter()
                    .map(|(fence, _)| i64::from(fence.get()))
                    .collect::<Vec<_>>(),
            )
            .bind(
                leases
                    .iter()
                    .map(|(_, lease)| millis(*lease))
                    .collect::<Vec<_>>(),
            )
            .execute(connection)
            .await?
            .rows_affected();
        if renewed == keys.len() as u64 {
            Ok(())
        } else {
            Err(WriteError::LeaseGone)
        }
    }

    async fn write_attempts(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.attempts.is_empty() {
            return Ok(());
        }
        macro_rules! column {
            (|$ended:ident| $value:expr) => {
                self.attempts
                    .iter()
                    .map(|(_, $ended)| $value)
                    .collect::<Vec<_>>()
            };
        }
        sqlx::query(INSERT_ATTEMPTS)
            .bind(ids(&self.attempts))
            .bind(column!(|ended| i64::from(ended.fence.get())))
            .bind(column!(|ended| ended.worker.as_str()))
            .bind(column!(|ended| ended.holder.as_str()))
            .bind(column!(|ended| ended.started_at.as_millisecond()))
            .bind(column!(|ended| ended.ended_at.as_millisecond()))
            .bind(column!(|ended| ended.end.code()))
            .bind(column!(|ended| ended.code.map(|code| code.to_string())))
            .execute(connection)
            .await?;
        Ok(())
    }

    async fn write_actions(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.actions.is_empty() {
            return Ok(());
        }
        macro_rules! column {
            (|$action:ident| $value:expr) => {
                self.actions
                    .iter()
                    .map(|(_, $action)| $value)
                    .collect::<Vec<_>>()
            };
        }
        sqlx::query(INSERT_ACTIONS)
            .bind(ids(&self.actions))
            .bind(column!(|action| action.at.as_millisecond()))
            .bind(column!(|action| action.kind.code()))
            .bind(column!(|action| {
                action.actor.credential.as_ref().map(Identifier::as_str)
            }))
            .bind(column!(|action| action.actor.user_id.as_str()))
            .execute(connection)
            .await?;
        Ok(())
    }

    async fn write_failures(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let failures = self.failures.iter();
        let rows: Vec<_> = failures
            .flat_map(|(id, new)| {
                (new.first..)
                    .zip(&new.rows)
                    .map(move |(position, row)| (*id, new.fence, position, row))
            })
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        macro_rules! column {
            (|$row:pat_param| $value:expr) => {
                rows.iter().map(|$row| $value).collect::<Vec<_>>()
            };
        }
        sqlx::query(INSERT_FAILURES)
            .bind(column!(|(id, _, _, _)| id.get()))
            .bind(column!(|(_, fence, _, _)| i64::from(fence.get())))
            .bind(column!(|(_, _, position, _)| row::number(*position)))
            .bind(column!(|(_, _, _, row)| row.user_name.as_str()))
            .bind(column!(|(_, _, _, row)| row.description.as_str()))
            .execute(connection)
            .await?;
        Ok(())
    }
}

/// A row of `lease`.
struct Held<'a> {
    key: &'a Key,
    fence: i64,
    tenant_id: &'a str,
    holder: &'a str,
    claim_id: String,
    millis: i64,
}

impl<'a> Held<'a> {
    fn of(key: &'a Key, touched: &'a Touched) -> Option<Self> {
        let (LeaseChange::For(lease), Some(attempt)) = (touched.lease, &touched.task.attempt)
        else {
            return None;
        };
        Some(Self {
            key,
            fence: i64::from(touched.task.fence.get()),
            tenant_id: touched.task.tenant_id.as_str(),
            holder: attempt.claim.holder.as_str(),
            claim_id: attempt.claim.claim_id.to_string(),
            millis: millis(lease),
        })
    }
}

fn ids<T>(of: &[(TaskId, T)]) -> Vec<i64> {
    of.iter().map(|(id, _)| id.get()).collect()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
