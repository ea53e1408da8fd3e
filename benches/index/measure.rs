//! Both stores, side by side: what one is asked the other is asked next.

use std::error::Error;
use std::fs;
use std::time::{Duration, Instant};

use crate::key::Key;
use crate::key_store::{self, KeyStore};

/// The keys of a transaction that is not measured.
const FILL: u64 = 1 << 16;
/// How many transactions one store makes before it is the other's turn.
const TURN: u64 = 8;
/// How many lookups.
const LOOKUPS_A_TURN: u64 = 500;

/// What a store took for something.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) keys: u64,
    pub(crate) time: Duration,
    /// What was written, to the log and to the file.
    pub(crate) written: u64,
}

impl Cost {
    pub(crate) fn rate(self) -> f64 {
        self.keys as f64 / self.time.as_secs_f64()
    }

    pub(crate) fn micros(self) -> f64 {
        self.time.as_secs_f64() * 1e6 / self.keys as f64
    }

    pub(crate) fn bytes_a_key(self) -> f64 {
        self.written as f64 / self.keys as f64
    }

    fn add(
        &mut self,
        keys: u64,
        work: impl FnOnce() -> Result<(), Box<dyn Error>>,
    ) -> Result<(), Box<dyn Error>> {
        let (begun, before) = (Instant::now(), written()?);
        work()?;
        self.time += begun.elapsed();
        self.written += written()? - before;
        self.keys += keys;
        Ok(())
    }
}

/// The bytes that this process has handed to the kernel.
fn written() -> Result<u64, Box<dyn Error>> {
    let io = fs::read_to_string("/proc/self/io")?;
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: "));
    Ok(line.ok_or("no wchar in /proc/self/io")?.parse()?)
}

/// Both stores, with the same keys.
pub(crate) struct Pair<'a> {
    stores: &'a mut [Box<dyn KeyStore>; 2],
    keys: u64,
}

impl<'a> Pair<'a> {
    pub(crate) fn new(stores: &'a mut [Box<dyn KeyStore>; 2]) -> Self {
        Self { stores, keys: 0 }
    }

    /// Inserts up to this many keys, unmeasured.
    pub(crate) fn fill(&mut self, keys: u64) -> Result<(), Box<dyn Error>> {
        while self.keys < keys {
            let batch: Vec<Key> = (self.keys..keys.min(self.keys + FILL))
                .map(Key::new)
                .collect();
            for store in &mut *self.stores {
                store.insert(&batch)?;
            }
            self.keys += batch.len() as u64;
        }
        Ok(())
    }

    /// Inserts so many further keys, in transactions of `batch`.
    pub(crate) fn insert(&mut self, keys: u64, batch: u64) -> Result<[Cost; 2], Box<dyn Error>> {
        let (mut costs, end) = ([Cost::default(); 2], self.keys + keys);
        for turn in 0.. {
            let next: Vec<Key> = (self.keys..end.min(self.keys + batch * TURN))
                .map(Key::new)
                .collect();
            if next.is_empty() {
                break;
            }
            for nth in in_turn(turn) {
                costs[nth].add(next.len() as u64, || {
                    let mut transactions = next.chunks(batch as usize);
                    transactions.try_for_each(|keys| self.stores[nth].insert(keys))
                })?;
            }
            self.keys += next.len() as u64;
        }
        Ok(costs)
    }

    /// Looks up so many keys, all of which are there or none.
    pub(crate) fn look_up(
        &self,
        lookups: u64,
        are_there: bool,
    ) -> Result<[Cost; 2], Box<dyn Error>> {
        let mut costs = [Cost::default(); 2];
        for turn in 0..lookups.div_ceil(LOOKUPS_A_TURN) {
            let asked: Vec<Key> = (0..LOOKUPS_A_TURN)
                .map(|_| rand::random_range(0..self.keys))
                .map(|nth| Key::new(if are_there { nth } else { self.keys + nth }))
                .collect();
            for nth in in_turn(turn) {
                costs[nth].add(LOOKUPS_A_TURN, || {
                    asked.iter().try_for_each(|key| {
                        let expected = are_there.then_some((key.task_id, key.body));
                        match self.stores[nth].find(&key.digest)? == expected {
                            true => Ok(()),
                            false => Err(format!("wrong about task {}", key.task_id).into()),
                        }
                    })
                })?;
            }
        }
        Ok(costs)
    }

    /// The sizes of the files.
    pub(crate) fn file_bytes(&self) -> Result<[u64; 2], Box<dyn Error>> {
        let [one, other] = &*self.stores;
        Ok([
            key_store::file_bytes(one.connection())?,
            key_store::file_bytes(other.connection())?,
        ])
    }
}

/// Neither of them always comes first.
const fn in_turn(turn: u64) -> [usize; 2] {
    if turn.is_multiple_of(2) {
        [0, 1]
    } else {
        [1, 0]
    }
}
