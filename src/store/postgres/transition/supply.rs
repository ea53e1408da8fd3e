//! Where there is work: for each tenant and type, from where on fresh tasks and due
//! retries are to be looked for. It is a guess that costs a claim no more than a
//! look in vain; what is taken is what the database has.
//!
//! What this instance writes it knows at once. What others write it finds by
//! looking: often as long as somebody wants work, and else for the metrics.

mod look;

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::claims::Visited;
use super::leases::Holdings;
use crate::task::scope::Scope;
use crate::task::{Task, TaskId, TaskType, TenantId};

/// Work of one kind: from `after` on, exclusively.
#[derive(Debug, Clone, Copy, Default)]
struct Head {
    after: i64,
    is_there: bool,
}

/// Work of a tenant and a type.
#[derive(Debug, Clone, Copy, Default)]
struct Work {
    /// By task id.
    fresh: Head,
    /// By the time when they are due; that may be to come.
    due: Head,
}

/// Where tasks may be claimed.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) tenant_id: TenantId,
    pub(super) task_type: TaskType,
    /// The greatest id that is passed over.
    pub(super) fresh_after: i64,
    /// The latest time that is passed over.
    pub(super) due_after: i64,
}

impl Source {
    /// Whether there may be more behind what is passed over.
    pub(super) const fn has_more(&self) -> bool {
        self.fresh_after < i64::MAX || self.due_after < i64::MAX
    }
}

/// All of it.
#[derive(Default)]
pub(super) struct Supply {
    work: HashMap<(TenantId, TaskType), Work>,
    looked: Option<Instant>,
    /// When it is to be looked again, as long as somebody wants work.
    next_look: Option<Instant>,
    /// From when on there may be a look from the very first task on.
    next_full_look: Option<Instant>,
    /// The database's clock at a moment.
    clock: Option<(Instant, i64)>,
}

impl Head {
    /// Something is there behind `after`.
    fn found_behind(&mut self, after: i64) {
        self.after = if self.is_there {
            self.after.min(after)
        } else {
            after
        };
        self.is_there = true;
    }
}

impl Supply {
    /// Whether nobody has looked for this long.
    pub(super) fn is_older_than(&self, age: Duration) -> bool {
        self.looked.is_none_or(|looked| looked.elapsed() >= age)
    }

    /// When it is to be looked again; nothing if nobody ever has.
    pub(super) const fn next_look(&self) -> Option<Instant> {
        self.next_look
    }

    /// Whether it is to be looked now.
    pub(super) fn is_look_due(&self) -> bool {
        self.next_look.is_none_or(|due| due <= Instant::now())
    }

    /// Fresh tasks were created, this one first.
    pub(super) fn created(&mut self, tenant_id: TenantId, task_type: TaskType, first: TaskId) {
        let work = self.work.entry((tenant_id, task_type)).or_default();
        work.fresh.found_behind(first.get().saturating_sub(1));
    }

    /// A task has changed: it may be due at a time now.
    pub(super) fn changed(&mut self, task: &Task) {
        let Some(due_at) = task.due_at else {
            return;
        };
        let key = (task.tenant_id.clone(), task.parameters.task_type());
        let work = self.work.entry(key).or_default();
        work.due
            .found_behind(due_at.as_millisecond().saturating_sub(1));
    }

    /// What is left of a source after a claim, where it was looked at.
    pub(super) fn claimed(&mut self, visited: Visited) {
        let Visited { source, fresh, due } = visited;
        let work = self
            .work
            .entry((source.tenant_id, source.task_type))
            .or_default();
        for (left, head) in [(fresh, &mut work.fresh), (due, &mut work.due)] {
            if let Some(left) = left {
                left.settle(head);
            }
        }
    }

    /// Where there is work in this scope: the tenants with the fewest leases first,
    /// among equals the one that waits longest.
    pub(super) fn sources(&self, scope: &Scope, holdings: &Holdings) -> Vec<Source> {
        let now = self.database_now();
        let mut sources: Vec<_> = self
            .work
            .iter()
            .filter(|((tenant_id, task_type), work)| {
                scope.tenants.contain(tenant_id)
                    && scope.task_types.contains(task_type)
                    && (work.fresh.is_there || work.due.is_due(now))
            })
            .map(|((tenant_id, task_type), work)| {
                let order = (holdings.of_tenant(tenant_id), work.waits_since(now));
                let source = Source {
                    tenant_id: tenant_id.clone(),
                    task_type: *task_type,
                    fresh_after: work.fresh.after_if_there(true),
                    due_after: work.due.after_if_there(work.due.is_due(now)),
                };
                (order, source)
            })
            .collect();
        sources.sort_by_key(|(order, _)| *order);
        sources.into_iter().map(|(_, source)| source).collect()
    }

    /// How long the first task of a type may have been started, in milliseconds by the
    /// database's clock; less than zero if that is to come.
    pub(super) fn first_waits(&self, task_type: TaskType) -> Option<i64> {
        let of_type = self.work.iter().filter(|((_, of), _)| *of == task_type);
        let first = of_type.filter_map(|(_, work)| work.first()).min()?;
        Some(self.database_now().saturating_sub(first))
    }

    /// Whether there is work in this scope.
    pub(super) fn has_work(&self, scope: &Scope) -> bool {
        let now = self.database_now();
        self.in_scope(scope)
            .any(|work| work.fresh.is_there || work.due.is_due(now))
    }

    /// When the next retry in this scope is due, if it is known of one.
    pub(super) fn next_due(&self, scope: &Scope) -> Option<Instant> {
        let (at, now) = self.clock?;
        let dues = self.in_scope(scope).filter(|work| work.due.is_there);
        let next = dues.map(|work| work.due.after.saturating_add(1)).min()?;
        let wait = u64::try_from(next.saturating_sub(now)).unwrap_or(0);
        at.checked_add(Duration::from_millis(wait.saturating_add(1)))
    }

    fn in_scope<'a>(&'a self, scope: &'a Scope) -> impl Iterator<Item = &'a Work> {
        let work = self.work.iter();
        work.filter(|((tenant_id, task_type), _)| {
            scope.tenants.contain(tenant_id) && scope.task_types.contains(task_type)
        })
        .map(|(_, work)| work)
    }

    /// The database's clock, as far as it is known.
    fn database_now(&self) -> i64 {
        self.clock.map_or(0, |(at, now)| {
            let since = i64::try_from(at.elapsed().as_millis()).unwrap_or(i64::MAX);
            now.saturating_add(since)
        })
    }
}

impl Work {
    /// From when on its first task may be started, in milliseconds; that may be to come.
    fn first(&self) -> Option<i64> {
        let fresh = self.fresh;
        let fresh = fresh
            .is_there
            .then(|| created_at(fresh.after.saturating_add(1)));
        let due = self.due.is_there.then(|| self.due.after.saturating_add(1));
        fresh.into_iter().chain(due).min()
    }

    /// Since when its first task waits, in milliseconds.
    fn waits_since(&self, now: i64) -> i64 {
        let fresh = self.fresh.is_there.then(|| created_at(self.fresh.after));
        let due = self.due.is_due(now).then_some(self.due.after);
        fresh.into_iter().chain(due).min().unwrap_or(i64::MAX)
    }
}

impl Head {
    /// Of retries: whether one is due.
    const fn is_due(self, now: i64) -> bool {
        self.is_there && self.after < now
    }

    /// From where on is to be looked; where there is nothing, behind everything.
    const fn after_if_there(self, is_wanted: bool) -> i64 {
        if self.is_there && is_wanted {
            self.after
        } else {
            i64::MAX
        }
    }
}

/// What a claim leaves of work of one kind.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Left {
    /// The first that it found: all before it are claimed.
    pub(super) first: Option<i64>,
    /// Whether there may be more than it took.
    pub(super) more: bool,
}

impl Left {
    fn settle(self, head: &mut Head) {
        if let Some(first) = self.first {
            head.after = first.saturating_sub(1);
        }
        head.is_there = self.more;
    }
}

/// When the task of this id was created, in milliseconds since the Unix epoch.
fn created_at(id: i64) -> i64 {
    TaskId::new(id).map_or(0, |id| id.created_at().as_millisecond())
}
