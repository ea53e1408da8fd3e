//! Merges: several runs of one level become one of the next.

use rusqlite::Transaction;

use super::block::Blocks;
use super::sorted_run::{RunState, SortedRun};
use super::{Entry, IndexKind};

/// A merge under way. Its sources stay live until it ends.
pub(super) struct Merge {
    level: u32,
    sources: Vec<Blocks>,
    target: SortedRun,
    /// The position of the sources' next blocks; they all have as many.
    next: u64,
}

impl Merge {
    /// Begins to merge `sources`, which are all of this level.
    pub(super) fn begin(
        transaction: &Transaction<'_>,
        kind: IndexKind,
        level: u32,
        sources: &[&SortedRun],
    ) -> rusqlite::Result<Self> {
        let last_task_id = sources
            .iter()
            .map(|run| run.last_task_id)
            .max()
            .unwrap_or(0);
        Ok(Self {
            level,
            sources: sources.iter().map(|run| run.blocks).collect(),
            target: SortedRun::begin(transaction, kind, level.saturating_add(1), last_task_id)?,
            next: 0,
        })
    }

    pub(super) const fn level(&self) -> u32 {
        self.level
    }

    /// Whether this run is one of the sources.
    pub(super) fn reads(&self, run: &SortedRun) -> bool {
        self.sources
            .iter()
            .any(|source| source.run == run.blocks.run)
    }

    pub(super) fn is_done(&self) -> bool {
        self.sources
            .first()
            .is_none_or(|source| self.next >= source.count())
    }

    /// Merges up to `blocks` blocks of each source. Entries of tasks before
    /// `first_kept` are left out.
    pub(super) fn step(
        &mut self,
        transaction: &Transaction<'_>,
        blocks: usize,
        first_kept: i64,
    ) -> rusqlite::Result<()> {
        for _ in 0..blocks {
            if self.is_done() {
                break;
            }
            let mut entries: Vec<Entry> = Vec::new();
            for source in &self.sources {
                let fingerprint = source.first_fingerprint(self.next);
                entries.extend(source.read(transaction, fingerprint)?);
            }
            entries.retain(|(_, task_id)| *task_id >= first_kept);
            entries.sort_unstable();
            // An entry that was read again at a start may be there twice.
            entries.dedup();
            let target = self.target.blocks;
            for entries in target.split(&entries) {
                self.target.write(transaction, entries)?;
            }
            self.next = self.next.saturating_add(1);
        }
        Ok(())
    }

    /// The merged run, which is live from now on.
    pub(super) fn end(self, transaction: &Transaction<'_>) -> rusqlite::Result<SortedRun> {
        self.target.set_state(transaction, RunState::Live)?;
        Ok(self.target)
    }
}
