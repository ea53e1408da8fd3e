//! Reads of a transaction of transitions: tasks to be changed, locked, and tasks
//! that only a lease is renewed of.
//!
//! A task that another session holds locked is passed over, never waited for: one
//! that is locked for long holds up no other, and no two transactions wait for each
//! other in a circle.

use jiff::Timestamp;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, FromRow, Row as _};

use crate::store::row::{CorruptRow, TaskRow};
use crate::task::{Task, TaskId};

/// The time by the database's clock, in milliseconds since the Unix epoch.
pub(super) const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now";

/// The key of a task, in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) node: i32,
    pub(super) id: i64,
}

impl Key {
    pub(super) fn of(id: TaskId) -> Self {
        Self {
            node: i32::from(id.node()),
            id: id.get(),
        }
    }
}

/// A task as it was read, at this time by the database's clock.
pub(super) struct Locked {
    pub(super) task: Task,
    pub(super) at: Timestamp,
}

/// A row that was read, of a task or of one that is not readable.
pub(super) struct Read {
    pub(super) key: Key,
    pub(super) now: i64,
    pub(super) task: Result<Task, CorruptRow>,
}

impl FromRow<'_, PgRow> for Read {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let task = TaskRow::from_row(row)?;
        Ok(Self {
            key: Key {
                node: row.try_get("node")?,
                id: task.id,
            },
            now: row.try_get("now")?,
            task: task.into_task(),
        })
    }
}

impl Read {
    /// The task, if it is readable.
    pub(super) fn into_locked(self) -> Result<Locked, CorruptRow> {
        Ok(Locked {
            task: self.task?,
            at: Timestamp::from_millisecond(self.now).unwrap_or(Timestamp::MAX),
        })
    }
}

/// Reads the tasks that there are; those that are to be `locked` if nobody else has
/// them locked.
pub(super) async fn read(
    connection: &mut PgConnection,
    keys: &[Key],
    locked: bool,
) -> Result<Vec<Read>, sqlx::Error> {
    let lock = if locked {
        "ORDER BY of_node, of_id FOR UPDATE OF task SKIP LOCKED"
    } else {
        ""
    };
    let query = format!(
        "SELECT {NOW}, node, {} FROM unnest($1::integer[], $2::bigint[]) AS wanted (of_node, of_id)
         JOIN task ON node = of_node AND id = of_id {lock}",
        TaskRow::COLUMNS
    );
    sqlx::query_as(AssertSqlSafe(query))
        .bind(keys.iter().map(|key| key.node).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| key.id).collect::<Vec<_>>())
        .fetch_all(connection)
        .await
}

/// Which of these tasks there are, locked or not.
pub(super) async fn existing(
    connection: &mut PgConnection,
    keys: &[Key],
) -> Result<Vec<Key>, sqlx::Error> {
    let rows: Vec<(i32, i64)> = sqlx::query_as(
        "SELECT node, id FROM unnest($1::integer[], $2::bigint[]) AS wanted (of_node, of_id)
         JOIN task ON node = of_node AND id = of_id",
    )
    .bind(keys.iter().map(|key| key.node).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.id).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(node, id)| Key { node, id })
        .collect())
}
