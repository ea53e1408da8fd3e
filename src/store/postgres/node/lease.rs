//! Leases of nodes, in the table `node_lease`.
//!
//! Two things are leased together. The node itself, until a time by the
//! database's clock: while it lasts nobody else takes the node. And a range of
//! ids: whoever takes the node next begins where that range ends. So an instance
//! that was stopped, cut off, or has a wrong clock may be late to notice that it
//! has lost its node, but no id that it can still make is another's.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::task::TaskId;

/// How long a node is held after each renewal.
pub(super) const LEASE: Duration = Duration::from_secs(15);

/// The free nodes that one search finds at most.
const CANDIDATES: i64 = 8;

/// A node that is held.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lease {
    pub(super) node: u16,
    /// This holding of it.
    pub(super) holder: Uuid,
    /// Every id is above this one; `None` of a node that never made any.
    pub(super) ids_after: Option<TaskId>,
    /// Every id is below this one.
    pub(super) ids_below: TaskId,
}

/// A lease as it was written.
pub(super) struct Written {
    pub(super) lease: Lease,
    /// When, by the database's clock.
    pub(super) at: Timestamp,
}

/// The nodes that are free and whose next id is not far ahead of a clock, some of
/// them: first those that were held before, so that there are no more nodes than
/// there ever were instances at a time.
pub(super) async fn free_nodes(
    connection: &mut PgConnection,
    reachable: TaskId,
) -> sqlx::Result<Vec<i32>> {
    sqlx::query_scalar(
        "SELECT every.node
         FROM generate_series(0, 65535) AS every (node)
         LEFT JOIN node_lease AS held ON held.node = every.node
         WHERE held.node IS NULL OR (held.expires_at <= now() AND held.ids_below <= $1)
         ORDER BY held.node IS NULL, random() LIMIT $2",
    )
    .bind(reachable.get())
    .bind(CANDIDATES)
    .fetch_all(connection)
    .await
}

impl Lease {
    /// Takes this node, for ids below `ids_below` or what was reserved before;
    /// `None` if it is not free.
    pub(super) async fn take(
        connection: &mut PgConnection,
        node: u16,
        ids_below: TaskId,
    ) -> sqlx::Result<Option<Written>> {
        let holder = Uuid::new_v4();
        let taken: Option<(i64, i64, i64)> = sqlx::query_as(
            "INSERT INTO node_lease AS held (node, holder, expires_at, ids_from, ids_below)
             VALUES ($1, $2, now() + $3 * interval '1 second', 0, $4)
             ON CONFLICT (node) DO UPDATE SET
                 holder = excluded.holder,
                 expires_at = excluded.expires_at,
                 ids_from = held.ids_below,
                 ids_below = greatest(held.ids_below, excluded.ids_below)
             WHERE held.expires_at <= now()
             -- Should a lease ever be lost from the table, the tasks still tell.
             RETURNING greatest(ids_from,
                 (SELECT coalesce(max(id), 0) FROM task WHERE task.node = $1)), ids_below,
                 (extract(epoch FROM now()) * 1000)::bigint",
        )
        .bind(i32::from(node))
        .bind(holder)
        .bind(LEASE.as_secs_f64())
        .bind(ids_below.get())
        .fetch_optional(connection)
        .await?;
        Ok(taken.and_then(|(ids_after, ids_below, at)| {
            let lease = Self {
                node,
                holder,
                ids_after: TaskId::new(ids_after),
                ids_below: TaskId::new(ids_below)?,
            };
            let at = Timestamp::from_millisecond(at).ok()?;
            Some(Written { lease, at })
        }))
    }

    /// Holds on to the node, for ids below `ids_below` or what was reserved
    /// before; `None` if another has taken it.
    ///
    /// A lease that is over can be renewed as long as nobody else took the node.
    pub(super) async fn renew(
        self,
        connection: &mut PgConnection,
        ids_below: TaskId,
    ) -> sqlx::Result<Option<Written>> {
        let renewed: Option<(i64, i64)> = sqlx::query_as(
            "UPDATE node_lease SET
                 expires_at = now() + $3 * interval '1 second',
                 ids_below = greatest(ids_below, $4)
             WHERE node = $1 AND holder = $2
             RETURNING ids_below, (extract(epoch FROM now()) * 1000)::bigint",
        )
        .bind(i32::from(self.node))
        .bind(self.holder)
        .bind(LEASE.as_secs_f64())
        .bind(ids_below.get())
        .fetch_optional(connection)
        .await?;
        Ok(renewed.and_then(|(ids_below, at)| {
            let lease = Self {
                ids_below: TaskId::new(ids_below)?,
                ..self
            };
            let at = Timestamp::from_millisecond(at).ok()?;
            Some(Written { lease, at })
        }))
    }

    /// Gives the node back. Every id that was made is below `ids_below`.
    pub(super) async fn release(
        self,
        connection: &mut PgConnection,
        ids_below: TaskId,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "UPDATE node_lease SET expires_at = now(), ids_below = $3
             WHERE node = $1 AND holder = $2",
        )
        .bind(i32::from(self.node))
        .bind(self.holder)
        .bind(ids_below.get())
        .execute(connection)
        .await?;
        Ok(())
    }
}
