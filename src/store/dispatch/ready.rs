//! The tasks that may be started, and whose turn it is: that of the tenant with
//! the fewest leases, and among equals of the one that waits longest.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use super::Storage;
use super::window::Window;
use crate::task::scope::{Scope, Tenants};
use crate::task::{TaskId, TaskType, TenantId};

/// A task to be tried again: from when on, in milliseconds since the Unix epoch.
pub(in crate::store) type DueRetry = (i64, TaskId);

/// Where a tenant's tasks of a type stand among those of the others: by leases
/// held, then by since when the first of them waits.
type Rank = (usize, i64, TaskId, TenantId);

/// What may be started.
pub(super) struct Ready {
    /// The most keys of a window.
    capacity: usize,
    tenants: HashMap<TenantId, Tenant>,
    /// Whose first task may be started now.
    ranks: BTreeMap<TaskType, BTreeSet<Rank>>,
    /// Since when the first tasks wait.
    waits: BTreeMap<TaskType, Moments>,
    /// When the first retry of others is due.
    upcoming: BTreeSet<(i64, TenantId, TaskType)>,
    /// Of whom something is to be read from the storage.
    unread: BTreeSet<(TenantId, TaskType)>,
}

#[derive(Default)]
struct Tenant {
    leases: usize,
    queues: BTreeMap<TaskType, Queue>,
}

/// A tenant's tasks of a type.
struct Queue {
    fresh: Window<TaskId>,
    retries: Window<DueRetry>,
    rank: Option<Rank>,
    /// From when on its first task may be started, whether it comes first or not; it may
    /// be to come.
    since: Option<i64>,
    upcoming: Option<i64>,
}

/// Moments of queues, which may be the same.
#[derive(Default)]
struct Moments(BTreeMap<i64, usize>);

impl Queue {
    const fn new(has_more: bool) -> Self {
        Self {
            fresh: Window::new(has_more),
            retries: Window::new(has_more),
            rank: None,
            since: None,
            upcoming: None,
        }
    }

    /// The first that was never started, and since when it may be.
    fn first_fresh(&self) -> Option<DueRetry> {
        let fresh = self.fresh.first()?;
        Some((fresh.created_at().as_millisecond(), fresh))
    }
}

impl Moments {
    /// A queue has another moment now.
    fn exchange(&mut self, was: Option<i64>, is: Option<i64>) {
        if let Some(was) = was
            && let Some(count) = self.0.get_mut(&was)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.0.remove(&was);
            }
        }
        if let Some(is) = is {
            let count = self.0.entry(is).or_default();
            *count = count.saturating_add(1);
        }
    }

    fn first(&self) -> Option<i64> {
        self.0.first_key_value().map(|(moment, _)| *moment)
    }
}

impl Ready {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            tenants: HashMap::new(),
            ranks: BTreeMap::new(),
            waits: BTreeMap::new(),
            upcoming: BTreeSet::new(),
            unread: BTreeSet::new(),
        }
    }

    /// Changes what is known of a tenant's tasks of a type.
    fn change(
        &mut self,
        of: (&TenantId, TaskType),
        now: i64,
        change: impl FnOnce(&mut Queue, usize),
    ) {
        let (tenant_id, task_type) = of;
        if !self.tenants.contains_key(tenant_id) {
            self.tenants.insert(tenant_id.clone(), Tenant::default());
        }
        if let Some(tenant) = self.tenants.get_mut(tenant_id) {
            let queue = tenant.queues.entry(task_type);
            change(queue.or_insert(Queue::new(false)), self.capacity);
        }
        self.rank(of, now);
    }

    /// Takes note of a task that was created.
    pub(super) fn add_fresh(&mut self, of: (&TenantId, TaskType), id: TaskId, now: i64) {
        // Behind others it changes nobody's turn, as most do.
        if let Some(tenant) = self.tenants.get_mut(of.0)
            && let Some(queue) = tenant.queues.get_mut(&of.1)
            && queue.fresh.first().is_some_and(|first| first < id)
        {
            queue.fresh.insert(id, self.capacity);
            return;
        }
        self.change(of, now, |queue, capacity| queue.fresh.insert(id, capacity));
    }

    /// Takes note of a task that is to be tried again.
    pub(super) fn add_retry(&mut self, of: (&TenantId, TaskType), retry: DueRetry, now: i64) {
        self.change(of, now, |queue, capacity| {
            queue.retries.insert(retry, capacity);
        });
    }

    /// Takes note of a task that may not be started any more.
    pub(super) fn remove(&mut self, of: (&TenantId, TaskType), retry: DueRetry, now: i64) {
        self.change(of, now, |queue, _| {
            queue.fresh.remove(retry.1);
            queue.retries.remove(retry);
        });
    }

    /// Takes note that the storage has tasks of a tenant and a type.
    pub(super) fn add_unread(&mut self, of: (&TenantId, TaskType)) {
        self.change(of, i64::MIN, |queue, _| *queue = Queue::new(true));
    }

    /// Takes note of a lease that began or, else, ended.
    pub(super) fn count_lease(&mut self, tenant_id: &TenantId, began: bool, now: i64) {
        if !self.tenants.contains_key(tenant_id) {
            self.tenants.insert(tenant_id.clone(), Tenant::default());
        }
        let Some(tenant) = self.tenants.get_mut(tenant_id) else {
            return;
        };
        tenant.leases = if began {
            tenant.leases.saturating_add(1)
        } else {
            tenant.leases.saturating_sub(1)
        };
        for task_type in TaskType::ALL {
            self.rank((tenant_id, task_type), now);
        }
    }

    /// Gives a tenant's tasks of a type their place among those of the others.
    fn rank(&mut self, (tenant_id, task_type): (&TenantId, TaskType), now: i64) {
        let Some(tenant) = self.tenants.get_mut(tenant_id) else {
            return;
        };
        if let Some(queue) = tenant.queues.get_mut(&task_type) {
            let key = || (tenant_id.clone(), task_type);
            if queue.fresh.needs_refill() || queue.retries.needs_refill() {
                self.unread.insert(key());
            }
            let (retry, fresh) = (queue.retries.first(), queue.first_fresh());
            let since = [retry, fresh].into_iter().flatten().min();
            let since = since.map(|(since, _)| since);
            if queue.since != since {
                let waits = self.waits.entry(task_type).or_default();
                waits.exchange(queue.since, since);
                queue.since = since;
            }
            let (due, upcoming) = match retry {
                Some((due, _)) if due > now => (None, Some(due)),
                _ => (retry, None),
            };
            // Due retries come before fresh tasks.
            let head = due.or(fresh);
            let is_ranked = queue
                .rank
                .as_ref()
                .map(|(leases, since, id, _)| (*leases, *since, *id))
                == head.map(|(since, id)| (tenant.leases, since, id));
            if !is_ranked {
                let ranks = self.ranks.entry(task_type).or_default();
                if let Some(rank) = queue.rank.take() {
                    ranks.remove(&rank);
                }
                queue.rank = head.map(|(since, id)| (tenant.leases, since, id, tenant_id.clone()));
                ranks.extend(queue.rank.clone());
            }
            if queue.upcoming != upcoming {
                if let Some(due) = queue.upcoming {
                    self.upcoming.remove(&(due, tenant_id.clone(), task_type));
                }
                queue.upcoming = upcoming;
                let upcoming = upcoming.map(|due| (due, tenant_id.clone(), task_type));
                self.upcoming.extend(upcoming);
            }
            if queue.fresh.is_empty() && queue.retries.is_empty() {
                tenant.queues.remove(&task_type);
            }
        }
        if tenant.queues.is_empty() && tenant.leases == 0 {
            self.tenants.remove(tenant_id);
        }
    }

    /// When the next task is due that is not yet.
    pub(super) fn next_due(&self) -> Option<i64> {
        self.upcoming.first().map(|(due, ..)| *due)
    }

    /// Takes note of the time, and reads what must be read to know whose turn it
    /// is.
    pub(super) fn look<S: Storage>(&mut self, storage: &S, now: i64) -> Result<(), S::Error> {
        while let Some((due, tenant_id, task_type)) = self.upcoming.first().cloned()
            && due <= now
        {
            self.rank((&tenant_id, task_type), now);
        }
        self.read(storage, usize::MAX, now)
    }

    /// Whether there is something to be read from the storage.
    pub(super) fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Reads what is to be read of so many tenants and types.
    pub(super) fn read<S: Storage>(
        &mut self,
        storage: &S,
        most: usize,
        now: i64,
    ) -> Result<(), S::Error> {
        for _ in 0..most {
            let Some(unread) = self.unread.pop_first() else {
                break;
            };
            let of = (&unread.0, unread.1);
            let capacity = self.capacity;
            let Some(queue) = self
                .tenants
                .get_mut(of.0)
                .and_then(|tenant| tenant.queues.get_mut(&of.1))
            else {
                continue;
            };
            if queue.fresh.needs_refill() {
                let fresh = storage.fresh(of, capacity)?;
                let has_more = fresh.len() >= capacity;
                queue.fresh.refill(fresh, has_more);
            }
            if queue.retries.needs_refill() {
                let retries = storage.retries(of, capacity)?;
                let has_more = retries.len() >= capacity;
                queue.retries.refill(retries, has_more);
            }
            self.rank(of, now);
        }
        Ok(())
    }

    /// From when on the first task of a type may be started; that may be to come.
    pub(super) fn since(&self, task_type: TaskType) -> Option<i64> {
        self.waits.get(&task_type)?.first()
    }

    /// Whose turn it is among these, and the task.
    pub(super) fn next(&mut self, scope: &Scope, now: i64) -> Option<(TenantId, TaskType, TaskId)> {
        loop {
            let (rank, task_type) = self.first(scope)?;
            let rank = rank.clone();
            self.rank((&rank.3, task_type), now);
            // Else a clock that stepped back has made a retry not due again.
            if self
                .first(scope)
                .is_some_and(|(first, of)| *first == rank && of == task_type)
            {
                let (_, _, id, tenant_id) = rank;
                return Some((tenant_id, task_type, id));
            }
        }
    }

    fn first(&self, scope: &Scope) -> Option<(&Rank, TaskType)> {
        let of_type = |task_type: &TaskType| -> Option<(&Rank, TaskType)> {
            let rank = match &scope.tenants {
                Tenants::All => self.ranks.get(task_type)?.first(),
                Tenants::These(tenants) => tenants
                    .iter()
                    .filter_map(|id| {
                        let queue = self.tenants.get(id)?.queues.get(task_type)?;
                        queue.rank.as_ref()
                    })
                    .min(),
            };
            Some((rank?, *task_type))
        };
        scope.task_types.iter().filter_map(of_type).min()
    }

    /// Takes the first task of a tenant and a type out.
    pub(super) fn pop(&mut self, of: (&TenantId, TaskType), now: i64) {
        self.change(of, now, |queue, _| {
            if let Some((_, since, id, _)) = &queue.rank {
                queue.fresh.remove(*id);
                queue.retries.remove((*since, *id));
            }
        });
    }

    /// The time in milliseconds.
    pub(super) fn millis(now: Timestamp) -> i64 {
        now.as_millisecond()
    }
}
