//! The index of source users, written as the service would have it by now
//! (src/store/sqlite/index): written out from the description of the format, it
//! shares no code with the service and so checks it too.

use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};

/// An entry: a source user's fingerprint and a task id.
type Entry = (u64, i64);

/// The `kind` of this index.
const SOURCE_USERS: u8 = 1;
/// The `state` of a run that is complete.
const LIVE: u8 = 1;
/// The entries of a run that was not merged.
const RUN_ENTRIES: u64 = 1 << 16;
/// Its blocks, as a power of two.
const PREFIX_BITS: u32 = 9;
/// How many times as many entries and blocks each merge makes, likewise.
const BITS_PER_LEVEL: u32 = 2;

/// Takes the entries from the oldest on and writes them as runs.
pub(crate) struct Runs {
    salted: Sha256,
    /// The levels of the runs that are to be written, the next one last.
    levels: Vec<u32>,
    entries: Vec<Entry>,
}

impl Runs {
    /// For so many transfers; those of the tail are left to the service.
    pub(crate) fn new(connection: &Connection, transfers: u64) -> rusqlite::Result<Self> {
        let salt: Vec<u8> =
            connection.query_row("SELECT salt FROM index_salt", [], |row| row.get(0))?;
        Ok(Self {
            salted: Sha256::new_with_prefix(salt),
            levels: levels(transfers).into_iter().rev().collect(),
            entries: Vec::new(),
        })
    }

    /// Takes the next transfer, and writes the run that it completes.
    pub(crate) fn push(
        &mut self,
        connection: &Connection,
        tenant: &str,
        source: u64,
        task_id: i64,
    ) -> rusqlite::Result<()> {
        let Some(level) = self.levels.last() else {
            return Ok(());
        };
        let hash = self
            .salted
            .clone()
            .chain_update(tenant)
            .chain_update([0])
            .chain_update(source.to_string())
            .finalize();
        let (head, _) = hash
            .split_first_chunk()
            .expect("8 of the 32 bytes of a hash");
        self.entries.push((u64::from_be_bytes(*head), task_id));
        if self.entries.len() as u64 == run_entries(*level) {
            write_run(connection, *level, &mut self.entries)?;
            self.entries.clear();
            self.levels.pop();
        }
        Ok(())
    }
}

/// The levels of the runs that so many entries have become, oldest first: four
/// runs of a level are always merged, so there are at most three of each.
fn levels(mut entries: u64) -> Vec<u32> {
    let mut levels = Vec::new();
    for level in (0..16).rev() {
        while entries >= run_entries(level) {
            entries -= run_entries(level);
            levels.push(level);
        }
    }
    levels
}

/// The entries of a run of this level.
const fn run_entries(level: u32) -> u64 {
    RUN_ENTRIES << (level * BITS_PER_LEVEL)
}

/// The levels of the runs that are there, oldest first, and how many transfers
/// are in none of them.
pub(crate) fn shape(connection: &Connection) -> rusqlite::Result<(Vec<u32>, u32)> {
    let mut statement = connection.prepare(
        "SELECT level, last_task_id FROM index_run WHERE kind = ?1 AND state = ?2
         ORDER BY last_task_id",
    )?;
    let runs: Vec<(u32, i64)> = statement
        .query_map([SOURCE_USERS, LIVE], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let last_task_id = runs.last().map_or(0, |(_, last_task_id)| *last_task_id);
    let tail = connection.query_row(
        "SELECT count(*) FROM task WHERE id > ?1 AND task_type = 0",
        [last_task_id],
        |row| row.get(0),
    )?;
    Ok((runs.into_iter().map(|(level, _)| level).collect(), tail))
}

fn write_run(connection: &Connection, level: u32, entries: &mut [Entry]) -> rusqlite::Result<()> {
    let last_task_id = entries.iter().map(|(_, task_id)| *task_id).max();
    entries.sort_unstable();
    let prefix_bits = PREFIX_BITS + level * BITS_PER_LEVEL;
    let run: u32 = connection.query_row(
        "INSERT INTO index_run (kind, level, prefix_bits, state, last_task_id)
         VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id",
        params![SOURCE_USERS, level, prefix_bits, LIVE, last_task_id],
        |row| row.get(0),
    )?;
    let mut insert =
        connection.prepare_cached("INSERT INTO index_block (id, entries) VALUES (?1, ?2)")?;
    let position = |entry: &Entry| entry.0 >> (u64::BITS - prefix_bits);
    for block in entries.chunk_by(|one, other| position(one) == position(other)) {
        let bytes: Vec<u8> = block
            .iter()
            .flat_map(|(fingerprint, task_id)| {
                [fingerprint.to_be_bytes(), task_id.to_be_bytes()].concat()
            })
            .collect();
        let id = i64::from(run) << 32 | position(&block[0]).cast_signed();
        insert.execute(params![id, bytes])?;
    }
    connection.execute(
        "UPDATE index_state SET indexed_to = max(indexed_to, ?2) WHERE kind = ?1",
        params![SOURCE_USERS, last_task_id],
    )?;
    Ok(())
}
