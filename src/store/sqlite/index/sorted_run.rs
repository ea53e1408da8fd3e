//! Runs: sorted entries on disk, written once.

use std::sync::Arc;

use fastbloom::BloomFilter;
use rusqlite::types::{ToSql, ToSqlOutput};
use rusqlite::{Connection, Transaction, params};

use super::block::{self, Blocks};
use super::{Entry, FAN_IN, IndexKind, RUN_ENTRIES};

/// How often a filter says «perhaps» of a key that is not there.
const FALSE_POSITIVES: f64 = 0.01;
/// The blocks of a run of level 0, as a power of two: 128 entries in each.
const LEVEL_0_PREFIX_BITS: u32 = 9;
/// How many times as many entries and blocks the next level's runs have,
/// likewise.
const BITS_PER_LEVEL: u32 = FAN_IN.trailing_zeros();

/// Where a run is in its life; the `state` of its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum RunState {
    Building = 0,
    Live = 1,
    Retired = 2,
}

impl ToSql for RunState {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok((*self as u8).into())
    }
}

/// A run.
pub(super) struct SortedRun {
    pub(super) blocks: Blocks,
    /// How often its entries were merged.
    pub(super) level: u32,
    /// The newest task whose entry is in it.
    pub(super) last_task_id: i64,
    /// Tells most absent keys without a look at the disk.
    filter: Option<BloomFilter>,
}

impl SortedRun {
    /// A new run, to be filled.
    pub(super) fn begin(
        transaction: &Transaction<'_>,
        kind: IndexKind,
        level: u32,
        last_task_id: i64,
    ) -> rusqlite::Result<Self> {
        let bits_above = level.saturating_mul(BITS_PER_LEVEL);
        // A block's position within its run has 32 bits in the table.
        let prefix_bits = LEVEL_0_PREFIX_BITS.saturating_add(bits_above).min(31);
        let run = transaction
            .prepare_cached(
                "INSERT INTO index_run (kind, level, prefix_bits, state, last_task_id)
                 VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id",
            )?
            .query_row(
                params![
                    kind as u8,
                    level,
                    prefix_bits,
                    RunState::Building,
                    last_task_id
                ],
                |row| row.get(0),
            )?;
        let entries = RUN_ENTRIES.checked_shl(bits_above).unwrap_or(usize::MAX);
        Ok(Self {
            blocks: Blocks { run, prefix_bits },
            level,
            last_task_id,
            filter: kind.is_filtered().then(|| new_filter(entries)),
        })
    }

    /// The runs of an index that are in this state, oldest first.
    pub(super) fn load_all(
        connection: &Connection,
        kind: IndexKind,
        state: RunState,
    ) -> rusqlite::Result<Vec<Self>> {
        let mut statement = connection.prepare(
            "SELECT id, prefix_bits, level, last_task_id FROM index_run
             WHERE kind = ?1 AND state = ?2 ORDER BY last_task_id",
        )?;
        let runs = statement.query_map(params![kind as u8, state], |row| {
            let blocks = Blocks {
                run: row.get(0)?,
                prefix_bits: row.get(1)?,
            };
            Ok(Self {
                blocks,
                level: row.get(2)?,
                last_task_id: row.get(3)?,
                filter: None,
            })
        })?;
        let mut runs: Vec<Self> = runs.collect::<rusqlite::Result<_>>()?;
        if kind.is_filtered() && state == RunState::Live {
            for run in &mut runs {
                run.filter = Some(load_filter(connection, run.blocks)?);
            }
        }
        Ok(runs)
    }

    /// Whether a look into the run can find this fingerprint.
    pub(super) fn may_hold(&self, fingerprint: u64) -> bool {
        self.filter
            .as_ref()
            .is_none_or(|filter| filter.contains(&fingerprint))
    }

    /// The tasks of this fingerprint, newest first.
    pub(super) fn find(
        &self,
        connection: &Connection,
        fingerprint: u64,
    ) -> rusqlite::Result<Vec<i64>> {
        let entries = self.blocks.read(connection, fingerprint)?;
        Ok(block::find(&entries, fingerprint).collect())
    }

    /// Writes sorted entries that share a block.
    pub(super) fn write(
        &mut self,
        transaction: &Transaction<'_>,
        entries: &[Entry],
    ) -> rusqlite::Result<()> {
        self.blocks.write(transaction, entries)?;
        if let Some(filter) = &mut self.filter {
            filter.extend(entries.iter().map(|(fingerprint, _)| fingerprint));
        }
        Ok(())
    }

    pub(super) fn set_state(
        &self,
        transaction: &Transaction<'_>,
        state: RunState,
    ) -> rusqlite::Result<()> {
        transaction
            .prepare_cached("UPDATE index_run SET state = ?2 WHERE id = ?1")?
            .execute(params![self.blocks.run, state])?;
        Ok(())
    }

    /// Deletes up to `most` blocks of a retired run; whether it is gone then.
    pub(super) fn delete(
        &self,
        transaction: &Transaction<'_>,
        most: usize,
    ) -> rusqlite::Result<bool> {
        let is_empty = self.blocks.delete(transaction, most)?;
        if is_empty {
            transaction
                .prepare_cached("DELETE FROM index_run WHERE id = ?1")?
                .execute([self.blocks.run])?;
        }
        Ok(is_empty)
    }
}

fn new_filter(entries: usize) -> BloomFilter {
    BloomFilter::with_false_pos(FALSE_POSITIVES).expected_items(entries.max(1))
}

fn load_filter(connection: &Connection, blocks: Blocks) -> rusqlite::Result<BloomFilter> {
    let (first, last) = blocks.range();
    let bytes: i64 = connection.query_row(
        "SELECT coalesce(sum(length(entries)), 0) FROM index_block WHERE id BETWEEN ?1 AND ?2",
        [first, last],
        |row| row.get(0),
    )?;
    let mut filter = new_filter(usize::try_from(bytes).unwrap_or(0) / block::ENTRY_BYTES);
    let mut statement =
        connection.prepare("SELECT entries FROM index_block WHERE id BETWEEN ?1 AND ?2")?;
    let mut rows = statement.query([first, last])?;
    while let Some(row) = rows.next()? {
        filter
            .extend(block::decode(row.get_ref(0)?.as_blob()?).map(|(fingerprint, _)| fingerprint));
    }
    Ok(filter)
}

/// The writing of a frozen memtable as a run of level 0.
pub(super) struct Flush {
    entries: Arc<[Entry]>,
    written: usize,
    run: Option<SortedRun>,
}

impl Flush {
    pub(super) const fn new(entries: Arc<[Entry]>) -> Self {
        Self {
            entries,
            written: 0,
            run: None,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.written == self.entries.len()
    }

    /// Writes up to `blocks` blocks; with the last one the run goes live and is
    /// returned.
    pub(super) fn step(
        &mut self,
        transaction: &Transaction<'_>,
        kind: IndexKind,
        blocks: usize,
    ) -> rusqlite::Result<Option<SortedRun>> {
        if self.is_done() {
            return Ok(None);
        }
        let mut run = match self.run.take() {
            Some(run) => run,
            None => {
                let last_task_id = self.entries.iter().map(|(_, id)| *id).max().unwrap_or(0);
                SortedRun::begin(transaction, kind, 0, last_task_id)?
            }
        };
        let rest = self.entries.get(self.written..).unwrap_or_default();
        for entries in run.blocks.split(rest).take(blocks) {
            run.write(transaction, entries)?;
            self.written = self.written.saturating_add(entries.len());
        }
        if self.is_done() {
            run.set_state(transaction, RunState::Live)?;
            Ok(Some(run))
        } else {
            self.run = Some(run);
            Ok(None)
        }
    }
}
