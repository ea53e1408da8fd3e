//! Bytes that are held for clients, bounded as a whole and for each part.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// A number of bytes that may be held at a time. A share of it has a bound of
/// its own, and what it takes the whole takes as well.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Level>);

#[derive(Debug)]
struct Level {
    limit: usize,
    /// What it takes without the whole being asked.
    free: usize,
    taken: AtomicUsize,
    whole: Option<Budget>,
    /// Of the outermost level, for all: some level has room again.
    room: Arc<Notify>,
}

impl Budget {
    /// A budget of `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Level {
            limit,
            free: 0,
            taken: AtomicUsize::new(0),
            whole: None,
            room: Arc::default(),
        }))
    }

    /// A part of this budget that may take at most `limit` bytes.
    #[must_use]
    pub fn share(&self, limit: usize) -> Self {
        self.share_beyond(0, limit)
    }

    /// A part of this budget that may take at most `limit` bytes. Only what it takes
    /// beyond `free` bytes counts here: what is counted by all cores for every request
    /// costs each of them, and mostly there is next to nothing to count.
    #[must_use]
    pub fn share_beyond(&self, free: usize, limit: usize) -> Self {
        Self(Arc::new(Level {
            limit,
            free,
            taken: AtomicUsize::new(0),
            whole: Some(self.clone()),
            room: Arc::clone(&self.0.room),
        }))
    }

    /// Takes `bytes`, where they fit into this budget and into the whole.
    #[must_use]
    pub fn take(&self, bytes: usize) -> Option<Taken> {
        let mut taken = self.take_beyond(0);
        taken.grow(bytes).then_some(taken)
    }

    /// Takes `bytes` that are there already, even beyond the limit.
    #[must_use]
    pub fn take_beyond(&self, bytes: usize) -> Taken {
        self.add(bytes);
        Taken {
            budget: self.clone(),
            bytes,
        }
    }

    /// How much is taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Relaxed)
    }

    /// Whether nothing is left, of this budget or of the whole.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.levels().any(|level| level.is_full())
    }

    /// Whether nothing is left of what this is a share of.
    #[must_use]
    pub fn is_whole_exhausted(&self) -> bool {
        self.levels().skip(1).any(Level::is_full)
    }

    /// Waits until something is left.
    pub async fn has_room(&self) {
        while self.is_exhausted() {
            let room = self.0.room.notified();
            if self.is_exhausted() {
                room.await;
            }
        }
    }

    fn levels(&self) -> impl Iterator<Item = &Level> {
        std::iter::successors(Some(&*self.0), |level| {
            level.whole.as_ref().map(|Self(l)| &**l)
        })
    }

    fn add(&self, mut bytes: usize) {
        for level in self.levels() {
            let before = level.taken.fetch_add(bytes, Ordering::Relaxed);
            bytes = level.beyond(before, before.saturating_add(bytes));
            if bytes == 0 {
                break;
            }
        }
    }

    fn give_back(&self, mut bytes: usize) {
        for level in self.levels() {
            let before = level.taken.fetch_sub(bytes, Ordering::AcqRel);
            let after = before.saturating_sub(bytes);
            if before >= level.limit && after < level.limit {
                level.room.notify_waiters();
            }
            bytes = level.beyond(after, before);
            if bytes == 0 {
                break;
            }
        }
    }
}

impl Level {
    /// How much of what is taken between these two counts in the whole.
    const fn beyond(&self, less: usize, more: usize) -> usize {
        let (less, more) = (
            less.saturating_sub(self.free),
            more.saturating_sub(self.free),
        );
        more.saturating_sub(less)
    }

    fn is_full(&self) -> bool {
        self.taken.load(Ordering::Acquire) >= self.limit
    }
}

/// Bytes taken from a [`Budget`], given back when this is dropped.
#[derive(Debug)]
pub struct Taken {
    budget: Budget,
    bytes: usize,
}

impl Taken {
    /// Takes so many bytes more; `false`, and nothing taken, where they do not
    /// fit.
    pub fn grow(&mut self, bytes: usize) -> bool {
        self.budget.add(bytes);
        if self
            .budget
            .levels()
            .any(|level| level.taken.load(Ordering::Relaxed) > level.limit)
        {
            self.budget.give_back(bytes);
            return false;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        true
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_share_takes_the_whole_takes_and_both_get_back() {
        let whole = Budget::new(100);
        let (one, other) = (whole.share(60), whole.share(60));
        let taken = one.take(60).unwrap();
        assert!(one.take(1).is_none());
        assert!(other.take(41).is_none(), "beyond the whole");
        let rest = other.take(40).unwrap();
        assert!(other.is_exhausted() && other.is_whole_exhausted());
        assert_eq!(whole.taken(), 100);
        drop((taken, rest));
        assert_eq!((whole.taken(), one.taken(), other.taken()), (0, 0, 0));
    }

    proptest! {
        #[test]
        fn the_whole_counts_what_its_shares_have_beyond_what_is_free(
            steps in proptest::collection::vec((any::<bool>(), 0_usize..2, 0_usize..30), 1..60),
            free in 0_usize..40,
        ) {
            let whole = Budget::new(1000);
            let shares = [whole.share_beyond(free, 500), whole.share_beyond(free, 500)];
            let mut held = [Vec::new(), Vec::new()];
            for (takes, which, bytes) in steps {
                if takes {
                    held[which].push(shares[which].take_beyond(bytes));
                } else {
                    held[which].pop();
                }
                let beyond = shares.iter().map(|share| share.taken().saturating_sub(free));
                prop_assert_eq!(whole.taken(), beyond.sum::<usize>());
            }
            drop(held);
            prop_assert_eq!((whole.taken(), shares[0].taken(), shares[1].taken()), (0, 0, 0));
        }
    }

    #[test]
    fn what_does_not_fit_leaves_what_was_taken() {
        let whole = Budget::new(10);
        let mut taken = whole.take(8).unwrap();
        assert!(!taken.grow(3));
        assert_eq!(whole.taken(), 8);
        assert!(taken.grow(2));
        assert_eq!(whole.taken(), 10);
    }

    #[tokio::test]
    async fn who_waits_for_room_is_told_of_it_at_any_level() {
        let whole = Budget::new(10);
        let share = whole.share(100);
        let taken = whole.take_beyond(11);
        let mut room = Box::pin(share.has_room());
        assert!((&mut room).now_or_never().is_none());
        drop(taken);
        room.await;
    }
}
