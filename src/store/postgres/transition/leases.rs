//! Leases: who holds how many, and the end of those that nobody renewed. By the
//! database's clock alone.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::changes::{Changes, HoldingChange};
use super::rows::{self, Key};
use crate::store::row::Code;
use crate::task::attempt::Fence;
use crate::task::life_cycle::Command;
use crate::task::repository::StoreError;
use crate::task::retry::RetryPolicy;
use crate::task::{Identifier, TaskId, TaskType, TenantId};

/// The most leases that are ended in one transaction.
const MOST: i64 = 500;

/// How many leases there are.
#[derive(Default)]
pub(super) struct Holdings {
    of_tenants: HashMap<TenantId, usize>,
    of_holders: HashMap<Identifier, usize>,
}

/// Changes of the numbers of leases that are committed beside the writer that keeps them.
///
/// What a census may have counted already is left out: till the next one a number is
/// rather too high than too low, so that nobody gets more leases than he may.
#[derive(Default)]
pub(super) struct HoldingChanges(Mutex<Uncounted>);

#[derive(Default)]
struct Uncounted {
    /// The censuses so far.
    censuses: u64,
    changes: HashMap<(TenantId, TaskType, Identifier), isize>,
}

/// When a commit began, in censuses.
pub(super) struct Begun(u64);

impl HoldingChanges {
    fn lock(&self) -> MutexGuard<'_, Uncounted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A commit begins.
    pub(super) fn begin(&self) -> Begun {
        Begun(self.lock().censuses)
    }

    /// Counts what it has changed.
    pub(super) fn count(&self, begun: &Begun, changes: impl IntoIterator<Item = HoldingChange>) {
        let mut uncounted = self.lock();
        if uncounted.censuses != begun.0 {
            return;
        }
        for change in changes {
            let of = (change.tenant_id, change.task_type, change.holder);
            let by = uncounted.changes.entry(of).or_default();
            *by = by.saturating_add(change.by);
        }
    }

    /// What came since this was last asked.
    pub(super) fn take(&self) -> impl Iterator<Item = HoldingChange> + use<> {
        self.lock().take()
    }

    /// The same, after a census: it may have all of it already.
    pub(super) fn take_counted(&self) -> impl Iterator<Item = HoldingChange> + use<> {
        let mut uncounted = self.lock();
        uncounted.censuses = uncounted.censuses.wrapping_add(1);
        uncounted.take()
    }
}

impl Uncounted {
    fn take(&mut self) -> impl Iterator<Item = HoldingChange> + use<> {
        let changes = std::mem::take(&mut self.changes).into_iter();
        changes.map(|((tenant_id, task_type, holder), by)| HoldingChange {
            tenant_id,
            task_type,
            holder,
            by,
        })
    }
}

/// All leases, counted.
pub(super) struct Census {
    pub(super) holdings: Holdings,
    /// How long it is until the first ends; nothing if one has.
    pub(super) earliest_end: Option<Duration>,
}

impl Holdings {
    pub(super) fn of_tenant(&self, tenant_id: &TenantId) -> usize {
        self.of_tenants.get(tenant_id).copied().unwrap_or(0)
    }

    pub(super) fn of_holder(&self, holder: &Identifier) -> usize {
        self.of_holders.get(holder).copied().unwrap_or(0)
    }

    /// Counts a change that was committed.
    pub(super) fn count(&mut self, change: &HoldingChange) {
        let (tenant_id, holder) = (change.tenant_id.clone(), change.holder.clone());
        self.add(tenant_id, holder, change.by);
    }

    fn add(&mut self, tenant_id: TenantId, holder: Identifier, by: isize) {
        let tenants = self.of_tenants.entry(tenant_id).or_default();
        *tenants = tenants.saturating_add_signed(by);
        let holders = self.of_holders.entry(holder).or_default();
        *holders = holders.saturating_add_signed(by);
    }
}

/// Counts the leases. They are read all: an index that tells when they end would be
/// written with every heartbeat.
pub(super) async fn census(connection: &mut PgConnection) -> Result<Census, StoreError> {
    let mut transaction = connection
        .begin_with("BEGIN; SET LOCAL enable_seqscan = on")
        .await?;
    let rows: Vec<(String, String, i64, i64)> = sqlx::query_as(
        "SELECT tenant_id, holder, count(*),
             (extract(epoch FROM min(ends_at) - clock_timestamp()) * 1000)::bigint
         FROM lease GROUP BY tenant_id, holder",
    )
    .fetch_all(&mut *transaction)
    .await?;
    transaction.rollback().await?;
    let mut census = Census {
        holdings: Holdings::default(),
        earliest_end: None,
    };
    for (tenant_id, holder, count, left) in rows {
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        let earliest = census.earliest_end.unwrap_or(Duration::MAX);
        census.earliest_end = Some(earliest.min(left));
        let (Ok(tenant_id), Ok(holder)) = (
            tenant_id.parse::<Identifier>(),
            holder.parse::<Identifier>(),
        ) else {
            continue;
        };
        census.holdings.add(
            tenant_id.into(),
            holder,
            isize::try_from(count).unwrap_or(isize::MAX),
        );
    }
    Ok(census)
}

/// How many leases there are of each type: a lookup for each lease, whatever the planner
/// makes of their number.
pub(super) async fn of_types(
    connection: &mut PgConnection,
) -> Result<HashMap<TaskType, usize>, sqlx::Error> {
    let rows: Vec<(Option<i64>, i64)> = sqlx::query_as(
        "SELECT task_type::bigint, count(*) FROM (
             SELECT (SELECT task_type FROM task
                     WHERE task.node = lease.node AND task.id = lease.task_id) AS task_type
             FROM lease
         ) AS held GROUP BY task_type",
    )
    .fetch_all(connection)
    .await?;
    let of_type = |(task_type, count): (Option<i64>, i64)| {
        let count = usize::try_from(count).unwrap_or(0);
        Some((TaskType::from_code(task_type?)?, count))
    };
    Ok(rows.into_iter().filter_map(of_type).collect())
}

/// Ends leases that nobody renewed: locks their tasks, takes the leases away unless
/// they were renewed meanwhile, and applies to each task that it lost its lease. What
/// another instance is about to end is passed over.
pub(super) async fn end_expired(
    connection: &mut PgConnection,
    policy: RetryPolicy,
    changes: &mut Changes,
) -> Result<(), StoreError> {
    let expired: Vec<(i32, i64)> = sqlx::query_as(
        "SELECT node, task_id FROM lease WHERE ends_at <= clock_timestamp() LIMIT $1",
    )
    .bind(MOST)
    .fetch_all(&mut *connection)
    .await?;
    let expired: Vec<Key> = expired
        .into_iter()
        .map(|(node, id)| Key { node, id })
        .collect();
    for read in rows::read(connection, &expired, true).await? {
        let id = read.key.id;
        match read.into_locked() {
            Ok(locked) => changes.add(locked),
            Err(error) => tracing::error!(%error, id, "a lease ended, but not its attempt"),
        }
    }
    let locked: Vec<&Key> = expired.iter().filter(|key| changes.has(key)).collect();
    let ended: Vec<(i64, i64)> = sqlx::query_as(
        "DELETE FROM lease USING unnest($1::integer[], $2::bigint[]) AS old (of_node, of_task)
         WHERE node = of_node AND task_id = of_task AND ends_at <= clock_timestamp()
         RETURNING task_id, fence",
    )
    .bind(locked.iter().map(|key| key.node).collect::<Vec<_>>())
    .bind(locked.iter().map(|key| key.id).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    for (id, fence) in ended {
        let (Some(id), Ok(fence)) = (TaskId::new(id), u32::try_from(fence)) else {
            continue;
        };
        let lost = Command::LoseLease {
            fence: Fence::new(fence),
            retry: policy.backoff(Duration::ZERO),
        };
        match changes.apply(id, &lost) {
            Some(Ok(task)) => tracing::warn!(
                task = id.get(),
                fence = fence,
                status = ?task.status,
                "a lease ended: nothing was heard of the worker in time"
            ),
            Some(Err(refusal)) => {
                tracing::error!(task = id.get(), %refusal, "a lease stood for no attempt");
            }
            None => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end() -> HoldingChange {
        let name = |text: &str| text.parse::<Identifier>().unwrap();
        HoldingChange {
            tenant_id: name("tenant").into(),
            task_type: TaskType::BatchImport,
            holder: name("holder"),
            by: -1,
        }
    }

    fn taken(changes: impl Iterator<Item = HoldingChange>) -> isize {
        changes.map(|change| change.by).sum()
    }

    #[test]
    fn what_a_census_may_have_counted_is_not_counted_again() {
        let changes = HoldingChanges::default();
        let (before, during) = (changes.begin(), changes.begin());
        changes.count(&before, [end(), end()]);
        assert_eq!(taken(changes.take()), -2);
        assert_eq!(taken(changes.take()), 0);
        changes.count(&before, [end()]);
        assert_eq!(taken(changes.take_counted()), -1);
        changes.count(&during, [end()]);
        assert_eq!(taken(changes.take()), 0);
        changes.count(&changes.begin(), [end()]);
        assert_eq!(taken(changes.take()), -1);
    }
}
