//! Blocks: the sorted entries of a run that share a prefix of their
//! fingerprints, 16 bytes each.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::Entry;

/// The size of an entry on disk.
pub(super) const ENTRY_BYTES: usize = 16;

/// The blocks of one run: 2^`prefix_bits`, `prefix_bits` being 1–31.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blocks {
    pub(super) run: u32,
    pub(super) prefix_bits: u32,
}

impl Blocks {
    pub(super) const fn count(self) -> u64 {
        1 << self.prefix_bits
    }

    /// The smallest fingerprint of the block at `position`.
    pub(super) const fn first_fingerprint(self, position: u64) -> u64 {
        position << u64::BITS.saturating_sub(self.prefix_bits)
    }

    /// The number of the block that this fingerprint belongs to.
    pub(super) fn id(self, fingerprint: u64) -> i64 {
        let position = fingerprint >> u64::BITS.saturating_sub(self.prefix_bits);
        (i64::from(self.run) << 32) | position.cast_signed()
    }

    /// The numbers of the first and the last block.
    pub(super) fn range(self) -> (i64, i64) {
        (self.id(0), self.id(u64::MAX))
    }

    /// The entries of the block that this fingerprint belongs to.
    pub(super) fn read(
        self,
        connection: &Connection,
        fingerprint: u64,
    ) -> rusqlite::Result<Vec<Entry>> {
        let entries = connection
            .prepare_cached("SELECT entries FROM index_block WHERE id = ?1")?
            .query_row([self.id(fingerprint)], |row| {
                Ok(decode(row.get_ref(0)?.as_blob()?).collect())
            })
            .optional()?;
        Ok(entries.unwrap_or_default())
    }

    /// Writes `entries`, which are sorted and share a block.
    pub(super) fn write(
        self,
        transaction: &Transaction<'_>,
        entries: &[Entry],
    ) -> rusqlite::Result<()> {
        if let Some((fingerprint, _)) = entries.first() {
            transaction
                .prepare_cached("INSERT INTO index_block (id, entries) VALUES (?1, ?2)")?
                .execute(params![self.id(*fingerprint), encode(entries)])?;
        }
        Ok(())
    }

    /// Deletes up to `most` blocks; whether none is left.
    pub(super) fn delete(
        self,
        transaction: &Transaction<'_>,
        most: usize,
    ) -> rusqlite::Result<bool> {
        let (first, last) = self.range();
        let deleted = transaction
            .prepare_cached(
                "DELETE FROM index_block WHERE id IN
                 (SELECT id FROM index_block WHERE id BETWEEN ?1 AND ?2 LIMIT ?3)",
            )?
            .execute(params![
                first,
                last,
                i64::try_from(most).unwrap_or(i64::MAX)
            ])?;
        Ok(deleted < most)
    }

    /// Cuts sorted entries into those that share a block.
    pub(super) fn split(self, entries: &[Entry]) -> impl Iterator<Item = &[Entry]> {
        entries.chunk_by(move |(one, _), (other, _)| self.id(*one) == self.id(*other))
    }
}

fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len().saturating_mul(ENTRY_BYTES));
    for (fingerprint, task_id) in entries {
        bytes.extend_from_slice(&fingerprint.to_be_bytes());
        bytes.extend_from_slice(&task_id.to_be_bytes());
    }
    bytes
}

/// The entries of a block.
pub(super) fn decode(block: &[u8]) -> impl Iterator<Item = Entry> {
    let (entries, _) = block.as_chunks::<ENTRY_BYTES>();
    entries.iter().map(|bytes| {
        let both = u128::from_be_bytes(*bytes);
        // The halves of the 128 bits.
        ((both >> 64) as u64, (both as u64).cast_signed())
    })
}

/// The tasks of a fingerprint among sorted entries, newest first.
pub(super) fn find(entries: &[Entry], fingerprint: u64) -> impl Iterator<Item = i64> {
    let start = entries.partition_point(|(other, _)| *other < fingerprint);
    let end = entries.partition_point(|(other, _)| *other <= fingerprint);
    let found = entries.get(start..end).unwrap_or_default();
    found.iter().rev().map(|(_, task_id)| *task_id)
}
