//! Indexes whose keys are scattered, kept off the path of a create.
//!
//! A B-tree over random keys dirties a page of its own for nearly every row. So
//! the young entries are kept in memory (the memtable, rebuilt at start from the
//! rows themselves) and go to disk in bulk, as sorted runs that are written once and
//! never changed; runs of one level are merged into one of the next. This is a
//! log-structured merge tree inside SQLite's tables: each step of it is part of
//! some group commit, so it is as atomic and durable as the tasks.
//!
//! An entry is the fingerprint of a key and a task id. Fingerprints may
//! collide: who looks one up compares the rows it finds with the whole key.

mod block;
mod memtable;
mod merge;
mod sorted_run;

use rusqlite::{Connection, Transaction, params};
use sha2::{Digest, Sha256};

pub(super) use self::memtable::SharedMemtable;
use self::merge::Merge;
use self::sorted_run::{Flush, RunState, SortedRun};

/// An entry: a key's fingerprint and the id of the task it belongs to.
pub(super) type Entry = (u64, i64);

/// How many entries the memtable holds before they become a run.
const RUN_ENTRIES: usize = 1 << 16;
/// How many runs of a level become one of the next.
const FAN_IN: usize = 4;

/// What an index finds tasks by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IndexKind {
    /// Idempotency keys. Entries expire; absent keys are the rule, so runs have
    /// a filter in memory.
    IdempotencyKey = 0,
    /// The source users of transfers. Entries stay.
    SourceUser = 1,
}

impl IndexKind {
    /// Whether runs of this index carry a filter in memory.
    const fn is_filtered(self) -> bool {
        matches!(self, Self::IdempotencyKey)
    }
}

/// Makes fingerprints of keys, with the database's own salt.
#[derive(Clone)]
pub(super) struct Fingerprints {
    salted: Sha256,
}

impl Fingerprints {
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let salt: Vec<u8> =
            connection.query_row("SELECT salt FROM index_salt", [], |row| row.get(0))?;
        Ok(Self {
            salted: Sha256::new_with_prefix(salt),
        })
    }

    /// The fingerprint of a key in two parts.
    pub(super) fn of(&self, scope: &[u8], key: &[u8]) -> u64 {
        let hash = self
            .salted
            .clone()
            .chain_update(scope)
            .chain_update([0])
            .chain_update(key);
        let hash: [u8; 32] = hash.finalize().into();
        let (head, _) = hash.split_first_chunk().unwrap_or((&[0; 8], &[]));
        u64::from_be_bytes(*head)
    }
}

/// The tasks of a fingerprint in the bytes of a block, newest first.
pub(super) fn find_in_block(block: &[u8], fingerprint: u64) -> Vec<i64> {
    let entries: Vec<Entry> = block::decode(block).collect();
    block::find(&entries, fingerprint).collect()
}

/// One index. Only the writer has it; readers share its [`SharedMemtable`].
///
/// After a transaction that failed it is out of step with the database and must
/// be loaded anew.
pub(super) struct Index {
    kind: IndexKind,
    memtable: SharedMemtable,
    /// Every task up to this one has its entry in a live run.
    indexed_to: i64,
    /// Live runs, oldest first.
    runs: Vec<SortedRun>,
    flush: Option<Flush>,
    /// At most one a level.
    merges: Vec<Merge>,
    /// Runs whose blocks are being deleted.
    retired: Vec<SortedRun>,
}

impl Index {
    /// The index as the database holds it, before its young entries: the caller
    /// hands those after [`Index::indexed_to`] to [`Index::committed`].
    pub(super) fn load(connection: &Connection, kind: IndexKind) -> rusqlite::Result<Self> {
        // What was being written when the process ended is begun again.
        connection.execute(
            "UPDATE index_run SET state = ?1 WHERE kind = ?2 AND state = ?3",
            params![RunState::Retired, kind as u8, RunState::Building],
        )?;
        Ok(Self {
            kind,
            memtable: SharedMemtable::default(),
            indexed_to: connection.query_row(
                "SELECT indexed_to FROM index_state WHERE kind = ?1",
                [kind as u8],
                |row| row.get(0),
            )?,
            runs: SortedRun::load_all(connection, kind, RunState::Live)?,
            flush: None,
            merges: Vec::new(),
            retired: SortedRun::load_all(connection, kind, RunState::Retired)?,
        })
    }

    /// Puts the young entries in the place of those that readers see in
    /// `shared`, all at once, and shares them from then on.
    pub(super) fn share(&mut self, shared: SharedMemtable) {
        std::mem::swap(&mut *shared.write(), &mut *self.memtable.write());
        self.memtable = shared;
    }

    /// Every task up to this one has its entry in a live run. Others may.
    pub(super) const fn indexed_to(&self) -> i64 {
        self.indexed_to
    }

    /// The tasks whose key may have this fingerprint, newest first.
    pub(super) fn find(
        &self,
        connection: &Connection,
        fingerprint: u64,
    ) -> rusqlite::Result<Vec<i64>> {
        let mut found = self.memtable.find(fingerprint);
        for run in self
            .runs
            .iter()
            .rev()
            .filter(|run| run.may_hold(fingerprint))
        {
            found.extend(run.find(connection, fingerprint)?);
        }
        Ok(found)
    }

    /// Does a share of the work that waits, in proportion to the `rows` that
    /// the transaction adds, of which these are the `new` entries. Entries of
    /// tasks before `first_kept` may be dropped.
    pub(super) fn maintain(
        &mut self,
        transaction: &Transaction<'_>,
        rows: usize,
        first_kept: i64,
        new: &[Entry],
    ) -> rusqlite::Result<()> {
        let mut indexed_to = self.indexed_to;
        let share = rows.div_ceil(128);
        if let Some(flush) = &mut self.flush
            && let Some(run) = flush.step(transaction, self.kind, share.saturating_mul(16))?
        {
            let first_active = self.memtable.first_active();
            indexed_to = first_active.map_or(run.last_task_id, |first| first.saturating_sub(1));
            self.runs.push(run);
        }
        // Ids may fall behind those that were made while the clock was ahead.
        if let Some(first) = new.iter().map(|(_, task_id)| *task_id).min() {
            indexed_to = indexed_to.min(first.saturating_sub(1));
        }
        self.set_indexed_to(transaction, indexed_to)?;
        self.retire_expired(transaction, first_kept)?;
        self.begin_merges(transaction)?;
        for merge in &mut self.merges {
            merge.step(transaction, share, first_kept)?;
        }
        self.end_merges(transaction)?;
        if let Some(run) = self.retired.last()
            && run.delete(transaction, share.saturating_mul(32))?
        {
            self.retired.pop();
        }
        Ok(())
    }

    /// To be called when a transaction is committed, with its entries.
    pub(super) fn committed(&mut self, entries: &[Entry]) {
        let mut memtable = self.memtable.write();
        if self.flush.take_if(|flush| flush.is_done()).is_some() {
            memtable.forget_frozen();
        }
        memtable.extend(entries);
        if self.flush.is_none() {
            self.flush = memtable.freeze(RUN_ENTRIES).map(Flush::new);
        }
    }

    fn set_indexed_to(
        &mut self,
        transaction: &Transaction<'_>,
        indexed_to: i64,
    ) -> rusqlite::Result<()> {
        if indexed_to != self.indexed_to {
            transaction
                .prepare_cached("UPDATE index_state SET indexed_to = ?2 WHERE kind = ?1")?
                .execute(params![self.kind as u8, indexed_to])?;
            self.indexed_to = indexed_to;
        }
        Ok(())
    }

    /// Ends the runs whose every entry has expired.
    fn retire_expired(
        &mut self,
        transaction: &Transaction<'_>,
        first_kept: i64,
    ) -> rusqlite::Result<()> {
        let is_merging = |run: &SortedRun| self.merges.iter().any(|merge| merge.reads(run));
        let ended = self
            .runs
            .extract_if(.., |run| run.last_task_id < first_kept && !is_merging(run))
            .collect();
        self.retire(transaction, ended)
    }

    /// Begins a merge on every level that has enough runs and no merge.
    fn begin_merges(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let levels = self.runs.iter().map(|run| run.level).max().unwrap_or(0);
        for level in 0..=levels {
            let of_level = self.runs.iter().filter(|run| run.level == level);
            let sources: Vec<&SortedRun> = of_level.take(FAN_IN).collect();
            let is_merging = self.merges.iter().any(|merge| merge.level() == level);
            if sources.len() == FAN_IN && !is_merging {
                let merge = Merge::begin(transaction, self.kind, level, &sources)?;
                self.merges.push(merge);
            }
        }
        Ok(())
    }

    /// Puts the merged runs in the place of their sources.
    fn end_merges(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let done: Vec<Merge> = self
            .merges
            .extract_if(.., |merge| merge.is_done())
            .collect();
        for merge in done {
            let sources = self.runs.extract_if(.., |run| merge.reads(run)).collect();
            self.retire(transaction, sources)?;
            self.runs.push(merge.end(transaction)?);
        }
        self.runs.sort_unstable_by_key(|run| run.last_task_id);
        Ok(())
    }

    fn retire(
        &mut self,
        transaction: &Transaction<'_>,
        runs: Vec<SortedRun>,
    ) -> rusqlite::Result<()> {
        for run in runs {
            run.set_state(transaction, RunState::Retired)?;
            self.retired.push(run);
        }
        Ok(())
    }
}
