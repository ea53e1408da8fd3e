//! The young entries of an index, in memory.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use super::{Entry, block};

/// The young entries, shared between the writer and the readers.
#[derive(Clone, Default)]
pub(in super::super) struct SharedMemtable(Arc<RwLock<Memtable>>);

impl SharedMemtable {
    /// The tasks of this fingerprint, newest first.
    pub(in super::super) fn find(&self, fingerprint: u64) -> Vec<i64> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .find(fingerprint)
    }

    /// The least task id of the entries that are not being written; none if there
    /// are none.
    pub(super) fn first_active(&self) -> Option<i64> {
        let memtable = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let links = memtable.active.entries.iter();
        links.map(|link| link.entry.1).min()
    }

    /// The entries, to be changed by the writer.
    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Memtable> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Entries that are in no run yet.
#[derive(Debug, Default)]
pub(super) struct Memtable {
    /// Grows with every commit.
    active: Active,
    /// Is being written as a run.
    frozen: Option<Arc<[Entry]>>,
}

impl Memtable {
    fn find(&self, fingerprint: u64) -> Vec<i64> {
        let frozen = self.frozen.as_deref().unwrap_or_default();
        self.active
            .find(fingerprint)
            .chain(block::find(frozen, fingerprint))
            .collect()
    }

    pub(super) fn extend(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.active.push(*entry);
        }
    }

    /// Sets the active entries aside once there are `enough`, to be written.
    pub(super) fn freeze(&mut self, enough: usize) -> Option<Arc<[Entry]>> {
        if self.frozen.is_some() || self.active.entries.len() < enough {
            return None;
        }
        self.frozen = Some(std::mem::take(&mut self.active).into_sorted());
        self.frozen.clone()
    }

    /// Forgets what was set aside: it is in a run now.
    pub(super) fn forget_frozen(&mut self) {
        self.frozen = None;
    }
}

/// Entries in the order they came in, which is that of their ids. Those of one
/// fingerprint form a chain, the newest first: an insertion touches little
/// memory, and it is on the path of every create.
#[derive(Debug, Default)]
struct Active {
    entries: Vec<Link>,
    newest: HashMap<u64, usize, BuildHasherDefault<FingerprintHasher>>,
}

#[derive(Debug)]
struct Link {
    entry: Entry,
    /// The position of the entry before with the same fingerprint.
    before: Option<usize>,
}

impl Active {
    fn push(&mut self, entry: Entry) {
        let before = self.newest.insert(entry.0, self.entries.len());
        self.entries.push(Link { entry, before });
    }

    fn find(&self, fingerprint: u64) -> impl Iterator<Item = i64> {
        let link = |position: usize| self.entries.get(position);
        let newest = self.newest.get(&fingerprint).copied().and_then(link);
        std::iter::successors(newest, move |newer| newer.before.and_then(link))
            .map(|link| link.entry.1)
    }

    fn into_sorted(self) -> Arc<[Entry]> {
        let mut entries: Vec<Entry> = self.entries.into_iter().map(|link| link.entry).collect();
        entries.sort_unstable();
        entries.into()
    }
}

/// A fingerprint is a hash already, of a key that nobody can choose it by.
#[derive(Debug, Default)]
struct FingerprintHasher(u64);

impl Hasher for FingerprintHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, fingerprint: u64) {
        self.0 = fingerprint;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is active, frozen or forgotten meanwhile.
        #[test]
        fn entries_are_found_newest_first_until_they_are_forgotten(
            steps in proptest::collection::vec((0_u64..6, 0_u8..10), 1..200)
        ) {
            let mut memtable = Memtable::default();
            let (mut active, mut frozen): (Vec<Entry>, Vec<Entry>) = (Vec::new(), Vec::new());
            for (id, (key, step)) in steps.into_iter().enumerate() {
                let entry = (key << 60 | key, id as i64);
                memtable.extend(&[entry]);
                active.push(entry);
                match step {
                    0 => {
                        if let Some(written) = memtable.freeze(1) {
                            frozen = std::mem::take(&mut active);
                            frozen.sort_unstable();
                            prop_assert_eq!(&*written, &frozen[..]);
                        }
                    }
                    1 => {
                        memtable.forget_frozen();
                        frozen.clear();
                    }
                    _ => {}
                }
                let all = frozen.iter().chain(&active);
                let mut expected: Vec<i64> =
                    all.filter(|(other, _)| *other == entry.0).map(|(_, id)| *id).collect();
                expected.reverse();
                prop_assert_eq!(memtable.find(entry.0), expected);
            }
        }
    }
}
