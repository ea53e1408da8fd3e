//! Who holds which task, and until when by a clock that never steps.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use uuid::Uuid;

use crate::task::attempt::Fence;
use crate::task::{Identifier, Task, TaskId, TaskType, TenantId};

/// A task among those of all tenants: in a stand-in two of them can have one id.
pub(super) type Key = (TaskId, TenantId);

/// A lease.
pub(super) struct Lease {
    fence: Fence,
    task_type: TaskType,
    holder: Identifier,
    claim_id: Uuid,
    /// By the clock's [`elapsed`](crate::task::clock::Clock::elapsed).
    ends: Duration,
}

/// The task among all.
pub(super) fn key(task: &Task) -> Key {
    (task.id, task.tenant_id.clone())
}

/// All leases.
#[derive(Default)]
pub(super) struct Leases {
    by_task: HashMap<Key, Lease>,
    by_end: BTreeSet<(Duration, Key)>,
    by_holder: HashMap<Identifier, HashMap<Uuid, HashSet<Key>>>,
    counts: HashMap<Identifier, usize>,
    of_types: BTreeMap<TaskType, usize>,
}

impl Leases {
    /// Lets the lease of the attempt that runs end at `ends`; whether it is new.
    pub(super) fn set(&mut self, task: &Task, ends: Duration) -> bool {
        let Some(attempt) = &task.attempt else {
            return false;
        };
        let key = key(task);
        if let Some(lease) = self.by_task.get(&key)
            && lease.fence == task.fence
        {
            self.move_end(&key, ends);
            return false;
        }
        let is_new = self.end(&key).is_none();
        let claim = &attempt.claim;
        let claims = self.by_holder.entry(claim.holder.clone()).or_default();
        claims
            .entry(claim.claim_id)
            .or_default()
            .insert(key.clone());
        let count = self.counts.entry(claim.holder.clone()).or_default();
        *count = count.saturating_add(1);
        let task_type = task.parameters.task_type();
        let of_type = self.of_types.entry(task_type).or_default();
        *of_type = of_type.saturating_add(1);
        self.by_end.insert((ends, key.clone()));
        let lease = Lease {
            fence: task.fence,
            task_type,
            holder: claim.holder.clone(),
            claim_id: claim.claim_id,
            ends,
        };
        self.by_task.insert(key, lease);
        is_new
    }

    /// Moves the end of a lease, if it still stands.
    pub(super) fn move_end(&mut self, key: &Key, ends: Duration) {
        if let Some(lease) = self.by_task.get_mut(key) {
            self.by_end.remove(&(lease.ends, key.clone()));
            lease.ends = ends;
            self.by_end.insert((ends, key.clone()));
        }
    }

    /// Ends a lease.
    pub(super) fn end(&mut self, key: &Key) -> Option<Lease> {
        let lease = self.by_task.remove(key)?;
        self.by_end.remove(&(lease.ends, key.clone()));
        if let Some(claims) = self.by_holder.get_mut(&lease.holder) {
            if let Some(tasks) = claims.get_mut(&lease.claim_id) {
                tasks.remove(key);
                if tasks.is_empty() {
                    claims.remove(&lease.claim_id);
                }
            }
            if claims.is_empty() {
                self.by_holder.remove(&lease.holder);
            }
        }
        if let Some(count) = self.of_types.get_mut(&lease.task_type) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = self.counts.get_mut(&lease.holder) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.counts.remove(&lease.holder);
            }
        }
        Some(lease)
    }

    /// How many the holder has.
    pub(super) fn count(&self, holder: &Identifier) -> usize {
        self.counts.get(holder).copied().unwrap_or_default()
    }

    /// How many tasks of this type are held.
    pub(super) fn of_type(&self, task_type: TaskType) -> usize {
        self.of_types.get(&task_type).copied().unwrap_or_default()
    }

    /// Whether tasks of a claim are still held.
    pub(super) fn has_claim(&self, holder: &Identifier, claim_id: Uuid) -> bool {
        let claims = self.by_holder.get(holder);
        claims.is_some_and(|claims| claims.contains_key(&claim_id))
    }

    /// The tasks of a claim that are still held, oldest first.
    pub(super) fn of_claim(&self, holder: &Identifier, claim_id: Uuid) -> Vec<Key> {
        let claims = self.by_holder.get(holder);
        let held = claims.and_then(|claims| claims.get(&claim_id));
        let mut held: Vec<Key> = held.into_iter().flatten().cloned().collect();
        held.sort_unstable();
        held
    }

    /// When the next lease ends.
    pub(super) fn next_end(&self) -> Option<Duration> {
        self.by_end.first().map(|(ends, _)| *ends)
    }

    /// The first leases, at most so many, that have ended.
    pub(super) fn ended(&self, elapsed: Duration, most: usize) -> Vec<(Key, Fence)> {
        self.by_end
            .iter()
            .take_while(|(ends, _)| *ends <= elapsed)
            .take(most)
            .filter_map(|(_, key)| Some((key.clone(), self.by_task.get(key)?.fence)))
            .collect()
    }
}
