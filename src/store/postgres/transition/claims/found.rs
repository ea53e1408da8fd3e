//! What the database has for claims: one statement locks it.

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, FromRow, Row as _};

use crate::store::postgres::transition::rows::{NOW, Read};
use crate::store::postgres::transition::supply::Source;
use crate::store::row::{Code, TaskRow};
use crate::task::TaskStatus;

/// Where a row comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    /// It is held already, under the id of one of the claims.
    Held,
    Due,
    Fresh,
}

impl Kind {
    /// As the query has them.
    const ALL: [(i32, Self); 3] = [(0, Self::Held), (1, Self::Due), (2, Self::Fresh)];
}

/// A row.
pub(super) struct Found {
    pub(super) read: Read,
    pub(super) kind: Kind,
    /// Of the source, from 1.
    pub(super) position: i64,
    pub(super) due_at: Option<i64>,
}

impl FromRow<'_, PgRow> for Found {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let kind: i32 = row.try_get("kind")?;
        let kind = Kind::ALL.into_iter().find(|(number, _)| *number == kind);
        Ok(Self {
            read: Read::from_row(row)?,
            kind: kind.map_or(Kind::Held, |(_, kind)| kind),
            position: row.try_get("position")?,
            due_at: row.try_get("due_at")?,
        })
    }
}

/// Locks the first `limit` of each source's due retries and fresh tasks, but for
/// those that somebody else has locked; and reads what is held under these claim
/// ids. The limit is in the text, for the plan depends on it.
pub(super) async fn select(
    connection: &mut PgConnection,
    sources: &[&Source],
    limit: usize,
    claim_ids: &[String],
) -> Result<Vec<Found>, sqlx::Error> {
    let query = format!(
        "WITH due AS MATERIALIZED (
             SELECT position, 1 AS kind, task.*
             FROM unnest($1::text[], $2::smallint[], $3::bigint[]) WITH ORDINALITY
                 AS source (tenant, of_type, after, position)
             CROSS JOIN LATERAL (
                 SELECT * FROM task
                 WHERE tenant_id = tenant AND task_type = of_type AND due_at > after
                     AND due_at <= (extract(epoch FROM statement_timestamp()) * 1000)::bigint
                 ORDER BY due_at, id LIMIT {limit} FOR UPDATE SKIP LOCKED
             ) AS task WHERE after < {none}
         ), fresh AS MATERIALIZED (
             SELECT position, 2 AS kind, task.*
             FROM unnest($1::text[], $2::smallint[], $4::bigint[]) WITH ORDINALITY
                 AS source (tenant, of_type, after, position)
             CROSS JOIN LATERAL (
                 SELECT * FROM task
                 WHERE tenant_id = tenant AND task_type = of_type AND status = {new}
                     AND id > after
                 ORDER BY id LIMIT {limit} FOR UPDATE SKIP LOCKED
             ) AS task WHERE after < {none}
         )
         SELECT {NOW}, kind, position, node, {columns} FROM (
             SELECT * FROM due UNION ALL SELECT * FROM fresh UNION ALL
             SELECT 0 AS position, 0 AS kind, task.* FROM lease
             JOIN task ON task.node = lease.node AND task.id = lease.task_id
             WHERE lease.claim_id = ANY($5)
         ) AS found",
        none = i64::MAX,
        new = TaskStatus::New.code(),
        columns = TaskRow::COLUMNS,
    );
    sqlx::query_as(AssertSqlSafe(query))
        .bind(
            sources
                .iter()
                .map(|of| of.tenant_id.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            sources
                .iter()
                .map(|of| of.task_type.code())
                .collect::<Vec<_>>(),
        )
        .bind(sources.iter().map(|of| of.due_after).collect::<Vec<_>>())
        .bind(sources.iter().map(|of| of.fresh_after).collect::<Vec<_>>())
        .bind(claim_ids)
        .fetch_all(connection)
        .await
}
