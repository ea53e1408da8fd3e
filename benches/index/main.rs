//! What the store's index of idempotency keys buys, measured against a plain
//! B-tree.
//!
//! Both keep the same, on disk and with the store's pragmas: a key's digest, the
//! digest of its body and its task. The store does so in a table that grows with
//! the tasks' ids, and an index in sorted runs, which is `src/store/sqlite/index`
//! itself; the B-tree is one table with the digest as its primary key, its rows
//! sorted within each transaction. The two grow in turns, a few transactions each,
//! and so meet the machine in the same state: what counts is the ratio. Every
//! answer is checked. The files are in the page cache.
//!
//! ```text
//! cargo bench --bench index               # some minutes, 2 GB of disk
//! cargo bench --bench index -- --smoke    # does the harness work?
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a benchmark may panic; it serves nobody"
)]

mod b_tree;
#[allow(
    dead_code,
    unused_imports,
    reason = "it is the store's, which uses the rest of it, as do its tests"
)]
#[path = "../../src/store/sqlite/index/mod.rs"]
mod index;
mod key;
mod key_store;
mod measure;
mod report;
mod sorted_runs;

use std::env;
use std::error::Error;
use std::process::ExitCode;

use b_tree::BTree;
use key_store::KeyStore;
use measure::Pair;
use sorted_runs::SortedRuns;

/// The keys of a transaction: few, as with 64 callers, and the most that the
/// writer commits at once.
const BATCHES: [u64; 2] = [64, 1024];
/// The most keys whose insertion is timed for a size and a batch: as many as come
/// from one merge of the youngest runs to the next.
const WINDOW: u64 = 1 << 18;

/// How much to measure.
struct Settings {
    /// The numbers of keys, ascending.
    sizes: &'static [u64],
    /// The lookups of each kind, for each size.
    lookups: u64,
}

impl Settings {
    fn read(arguments: &[String]) -> Result<Self, Box<dyn Error>> {
        let mut smoke = false;
        for argument in arguments {
            match argument.as_str() {
                "--smoke" => smoke = true,
                // What cargo passes to every bench.
                "--bench" => {}
                other => return Err(format!("no such argument: {other}").into()),
            }
        }
        Ok(if smoke {
            Self {
                // The larger one has a run.
                sizes: &[2_000, 70_000],
                lookups: 500,
            }
        } else {
            Self {
                sizes: &[100_000, 1_000_000, 5_000_000],
                lookups: 50_000,
            }
        })
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match Settings::read(&arguments).and_then(|settings| bench(&settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("index bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench(settings: &Settings) -> Result<(), Box<dyn Error>> {
    // Below the target directory: a store on a tmpfs would be no store.
    let directory = tempfile::Builder::new()
        .prefix("bench-index-")
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut stores: [Box<dyn KeyStore>; 2] = [
        Box::new(SortedRuns::open(&directory.path().join("sorted-runs.db"))?),
        Box::new(BTree::open(&directory.path().join("b-tree.db"))?),
    ];
    let mut pair = Pair::new(&mut stores);
    report::print_head();
    for size in settings.sizes {
        let window = (size / 4).min(WINDOW);
        pair.fill(size - window * BATCHES.len() as u64)?;
        let mut inserts = Vec::new();
        for batch in BATCHES {
            inserts.push((batch, pair.insert(window, batch)?));
        }
        let found = pair.look_up(settings.lookups, true)?;
        let absent = pair.look_up(settings.lookups, false)?;
        report::print_size(*size, &inserts, &found, &absent, pair.file_bytes()?);
    }
    Ok(())
}
