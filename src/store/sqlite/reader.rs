//! Reads, on connections of their own: in WAL mode they never wait for the
//! writer, nor the writer for them.

use std::fmt::Write;
use std::path::Path;

use deadpool::managed::BuildError;
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::index::{Fingerprints, IndexKind, SharedMemtable, find_in_block};
use super::pool::ReadPool;
use crate::store::row::{self, ActionRow, AttemptRow, Code, TaskRow};
use crate::store::walk::Walk;
use crate::task::attempt::History;
use crate::task::import::ImportFailure;
use crate::task::list::Page;
use crate::task::repository::StoreError;
use crate::task::{Identifier, Task, TaskId, TaskParameters, TaskStatus, TaskType, TenantId};

/// The reading side of the store.
pub(super) struct Reader {
    pool: ReadPool,
    fingerprints: Fingerprints,
    young_source_users: SharedMemtable,
}

impl Reader {
    /// A reader of the database at `path`; it connects when it is first used.
    pub(super) fn new(
        path: &Path,
        fingerprints: Fingerprints,
        memtable: SharedMemtable,
    ) -> Result<Self, BuildError> {
        Ok(Self {
            pool: ReadPool::new(path)?,
            fingerprints,
            young_source_users: memtable,
        })
    }

    /// The connections there are, one of them the writer's.
    pub(super) fn connections(&self) -> usize {
        self.pool.size().saturating_add(1)
    }

    /// The most reads at a time.
    pub(super) fn at_a_time(&self) -> usize {
        self.pool.max_size()
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }

    pub(super) async fn find(
        &self,
        tenant_id: &TenantId,
        id: TaskId,
    ) -> Result<Option<Task>, StoreError> {
        let tenant_id = tenant_id.clone();
        self.pool
            .read(move |connection| find(connection, &tenant_id, id))
            .await
    }

    pub(super) async fn list(
        &self,
        tenant_id: &TenantId,
        page: Page,
    ) -> Result<Vec<Task>, StoreError> {
        let tenant_id = tenant_id.clone();
        self.pool
            .read(move |connection| list(connection, &tenant_id, page))
            .await
    }

    pub(super) async fn newest_transfer(
        &self,
        tenant_id: &TenantId,
        src_user_id: &Identifier,
    ) -> Result<Option<Task>, StoreError> {
        let (scope, key) = (
            tenant_id.as_str().as_bytes(),
            src_user_id.as_str().as_bytes(),
        );
        let fingerprint = self.fingerprints.of(scope, key);
        let (tenant_id, src_user_id) = (tenant_id.clone(), src_user_id.clone());
        let young = self.young_source_users.clone();
        self.pool
            .read(move |connection| {
                let first = |candidates: &[i64]| {
                    first_transfer(connection, candidates, &tenant_id, &src_user_id)
                };
                // Memory first: an entry leaves it only after it is on disk.
                match first(&young.find(fingerprint))? {
                    None => first(&in_runs(connection, fingerprint)?),
                    found => Ok(found),
                }
            })
            .await
    }

    pub(super) async fn newest_import(
        &self,
        tenant_id: &TenantId,
        user_id: &Identifier,
    ) -> Result<Option<Task>, StoreError> {
        let (tenant_id, user_id) = (tenant_id.clone(), user_id.clone());
        self.pool
            .read(move |connection| newest_import(connection, &tenant_id, &user_id))
            .await
    }

    pub(super) async fn failures(
        &self,
        task: &Task,
        from: u64,
        limit: u32,
    ) -> Result<Vec<ImportFailure>, StoreError> {
        let of = (task.id.get(), task.fence.get(), row::number(from), limit);
        self.pool
            .read(move |connection| {
                let rows = all(
                    connection,
                    "SELECT user_name, description FROM import_failure
                     WHERE task_id = ?1 AND fence = ?2 AND position >= ?3
                     ORDER BY position LIMIT ?4",
                    of,
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )?;
                Ok(rows.into_iter().map(row::failure).collect())
            })
            .await
    }

    pub(super) async fn history(&self, id: TaskId) -> Result<History, StoreError> {
        self.pool
            .read(move |connection| history(connection, id))
            .await
    }
}

/// All rows of a query.
fn all<T>(
    connection: &Connection,
    query: &str,
    parameters: impl Params,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection
        .prepare_cached(query)?
        .query_map(parameters, read)?
        .collect()
}

/// The task of a query that finds one or none.
fn one(
    connection: &Connection,
    query: &str,
    parameters: impl Params,
) -> Result<Option<Task>, StoreError> {
    let row = connection
        .prepare_cached(query)?
        .query_row(parameters, TaskRow::read)
        .optional()?;
    row::task(row)
}

/// Looks only among the tenant's own tasks, so that what is read does not depend on
/// whether another tenant has a task of this id.
fn find(
    connection: &Connection,
    tenant_id: &TenantId,
    id: TaskId,
) -> Result<Option<Task>, StoreError> {
    let query = format!(
        "SELECT {} FROM task INDEXED BY task_by_state
         WHERE tenant_id = ?1 AND task_type IN ({}) AND status IN ({}) AND id = ?2",
        TaskRow::COLUMNS,
        TaskType::all_codes(),
        TaskStatus::all_codes(),
    );
    one(connection, &query, params![tenant_id.as_str(), id.get()])
}

/// The first of each state's tasks, merged.
fn list(
    connection: &Connection,
    tenant_id: &TenantId,
    page: Page,
) -> Result<Vec<Task>, StoreError> {
    let Walk {
        direction,
        comparison,
        after,
    } = Walk::of(page);
    let mut states = String::new();
    for (task_type, status) in page.filter.states() {
        let union = if states.is_empty() { "" } else { " UNION ALL " };
        // Writing to a string does not fail.
        let _ = write!(
            states,
            "{union}SELECT * FROM (SELECT id AS next FROM task INDEXED BY task_by_state
             WHERE tenant_id = ?1 AND task_type = {} AND status = {} AND id {comparison} ?2
             ORDER BY id {direction} LIMIT ?3)",
            task_type.code(),
            status.code(),
        );
    }
    let query = format!(
        "SELECT {} FROM ({states} ORDER BY next {direction} LIMIT ?3)
         CROSS JOIN task ON id = next ORDER BY next {direction}",
        TaskRow::COLUMNS
    );
    let of = params![tenant_id.as_str(), after, page.limit];
    row::tasks(all(connection, &query, of, TaskRow::read)?)
}

/// The tasks of this fingerprint that are in runs, newest first.
fn in_runs(connection: &Connection, fingerprint: u64) -> rusqlite::Result<Vec<i64>> {
    let mut statement = connection.prepare_cached(
        "SELECT entries FROM index_run CROSS JOIN index_block
         ON index_block.id = (index_run.id << 32) | (?2 >> (32 - prefix_bits))
         WHERE kind = ?1 AND state = 1 ORDER BY last_task_id DESC",
    )?;
    let head = (fingerprint >> 32).cast_signed();
    let mut rows = statement.query(params![IndexKind::SourceUser as u8, head])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.extend(find_in_block(row.get_ref(0)?.as_blob()?, fingerprint));
    }
    Ok(found)
}

/// The first candidate that really is a transfer of this user's.
fn first_transfer(
    connection: &Connection,
    candidates: &[i64],
    tenant_id: &TenantId,
    src_user_id: &Identifier,
) -> Result<Option<Task>, StoreError> {
    for id in candidates.iter().copied().filter_map(TaskId::new) {
        if let Some(task) = find(connection, tenant_id, id)?
            && matches!(&task.parameters, TaskParameters::Transfer { src_user_id: of, .. }
                if of == src_user_id)
        {
            return Ok(Some(task));
        }
    }
    Ok(None)
}

fn newest_import(
    connection: &Connection,
    tenant_id: &TenantId,
    user_id: &Identifier,
) -> Result<Option<Task>, StoreError> {
    let query = format!(
        "SELECT {} FROM task INDEXED BY import_by_user
         WHERE tenant_id = ?1 AND user_id = ?2 AND task_type = {} ORDER BY id DESC LIMIT 1",
        TaskRow::COLUMNS,
        TaskType::BatchImport.code(),
    );
    one(
        connection,
        &query,
        params![tenant_id.as_str(), user_id.as_str()],
    )
}

fn history(connection: &Connection, id: TaskId) -> Result<History, StoreError> {
    let attempts = format!(
        "SELECT {} FROM attempt WHERE task_id = ?1 ORDER BY fence DESC LIMIT ?2",
        AttemptRow::COLUMNS
    );
    let actions = format!(
        "SELECT {} FROM action WHERE task_id = ?1 ORDER BY at DESC LIMIT ?2",
        ActionRow::COLUMNS
    );
    let of = (id.get(), row::MOST_OF_HISTORY);
    row::history(
        all(connection, &attempts, of, AttemptRow::read)?,
        all(connection, &actions, of, ActionRow::read)?,
    )
}
