//! The first keys of a set that is kept in full in the storage.

use std::collections::BTreeSet;

/// Every key of the set up to the last that is known; those behind it are in the
/// storage alone.
pub(super) struct Window<K> {
    keys: BTreeSet<K>,
    has_more: bool,
}

impl<K: Ord + Copy> Window<K> {
    /// A window of which nothing is known yet, if the set `has_more`.
    pub(super) const fn new(has_more: bool) -> Self {
        Self {
            keys: BTreeSet::new(),
            has_more,
        }
    }

    /// The first key of the set; none as well while a refill is needed.
    pub(super) fn first(&self) -> Option<K> {
        self.keys.first().copied()
    }

    /// Whether the set is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && !self.has_more
    }

    /// Whether the first key of the set is to be read from the storage.
    pub(super) fn needs_refill(&self) -> bool {
        self.keys.is_empty() && self.has_more
    }

    /// Takes note of a key that the set has now.
    pub(super) fn insert(&mut self, key: K, capacity: usize) {
        if self.has_more && self.keys.last().is_none_or(|last| key > *last) {
            return;
        }
        self.keys.insert(key);
        if self.keys.len() > capacity {
            self.keys.pop_last();
            self.has_more = true;
        }
    }

    /// Takes note of a key that the set does not have any more.
    pub(super) fn remove(&mut self, key: K) {
        self.keys.remove(&key);
    }

    /// Takes in the first keys of the set, and whether it has more.
    pub(super) fn refill(&mut self, keys: Vec<K>, has_more: bool) {
        self.keys = keys.into_iter().collect();
        self.has_more = has_more;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_key_is_that_of_the_whole_set(
            steps in proptest::collection::vec((0_u8..60, any::<bool>()), 1..200),
            capacity in 1_usize..8
        ) {
            let mut set = BTreeSet::new();
            let mut window = Window::new(false);
            for (key, is_new) in steps {
                if is_new {
                    set.insert(key);
                    window.insert(key, capacity);
                } else {
                    set.remove(&key);
                    window.remove(key);
                }
                if window.needs_refill() {
                    let first: Vec<u8> = set.iter().copied().take(capacity).collect();
                    let has_more = first.len() < set.len();
                    window.refill(first, has_more);
                }
                prop_assert_eq!(window.first(), set.first().copied());
                prop_assert!(window.keys.len() <= capacity);
            }
        }
    }
}
