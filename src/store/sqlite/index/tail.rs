//! The young entries of an index, in memory.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use super::{Entry, block};

/// The young entries, shared between the writer and the readers.
#[derive(Clone, Default)]
pub(in super::super) struct SharedTail(Arc<RwLock<Tail>>);

impl SharedTail {
    /// The tasks of this fingerprint, newest first.
    pub(in super::super) fn find(&self, fingerprint: u64) -> Vec<i64> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .find(fingerprint)
    }

    /// The entries, to be changed by the writer.
    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Tail> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Entries that are in no run yet.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Grows with every commit.
    active: BTreeSet<Entry>,
    /// Is being written as a run.
    frozen: Option<Arc<[Entry]>>,
}

impl Tail {
    fn find(&self, fingerprint: u64) -> Vec<i64> {
        let key = (fingerprint, i64::MIN)..=(fingerprint, i64::MAX);
        let active = self.active.range(key).rev().map(|(_, id)| *id);
        let frozen = block::find(self.frozen.as_deref().unwrap_or_default(), fingerprint);
        active.chain(frozen).collect()
    }

    pub(super) fn extend(&mut self, entries: &[Entry]) {
        self.active.extend(entries);
    }

    /// Sets the active entries aside once there are `enough`, to be written.
    pub(super) fn freeze(&mut self, enough: usize) -> Option<Arc<[Entry]>> {
        if self.frozen.is_some() || self.active.len() < enough {
            return None;
        }
        self.frozen = Some(std::mem::take(&mut self.active).into_iter().collect());
        self.frozen.clone()
    }

    /// Forgets what was set aside: it is in a run now.
    pub(super) fn forget_frozen(&mut self) {
        self.frozen = None;
    }
}
