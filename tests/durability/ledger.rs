//! What clients were told, held against what the database has.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::postgres::TestDatabase;

/// What clients know of their requests. Each request has a source user of its
/// own, by which its task is found.
#[derive(Debug, Default, Clone)]
pub struct Ledger {
    /// Source user and task id of what was answered.
    pub answered: Vec<(String, i64)>,
    /// The source users of what was not, or not with success: there may be a
    /// task or none.
    pub unknown: Vec<String>,
    /// How long the client waited that waited longest.
    pub slowest: Duration,
}

impl Ledger {
    pub fn extend(&mut self, other: Self) {
        self.answered.extend(other.answered);
        self.unknown.extend(other.unknown);
        self.slowest = self.slowest.max(other.slowest);
    }

    /// The database at `path` is sound and has every answered task exactly
    /// once with its own parameters, the others at most once, and nothing else.
    #[track_caller]
    pub fn assert_kept_at(&self, path: &Path) {
        let connection = Connection::open(path).unwrap();
        let integrity: String = connection
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(integrity, "ok");
        let mut statement = connection
            .prepare("SELECT id, init_params FROM task")
            .unwrap();
        let rows = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        self.assert_kept_in(&tasks(rows.map(Result::unwrap)));
    }

    /// As [`Ledger::assert_kept_at`], of this database.
    #[track_caller]
    pub fn assert_kept_by(&self, database: &TestDatabase) {
        let rows = database.sql("SELECT id, init_params FROM task");
        self.assert_kept_in(&tasks(rows.lines().map(|row| {
            let (id, parameters) = row.split_once('|').unwrap();
            (id.parse().unwrap(), parameters.to_owned())
        })));
    }

    /// As [`Ledger::assert_kept_at`], of a copy of the database in `folder`:
    /// for the service to find the original as it was left.
    #[track_caller]
    pub fn assert_kept_in_copy_of(&self, folder: &Path) {
        let copy = TempDir::new().unwrap();
        for name in ["kootask.db", "kootask.db-wal"] {
            let _ = std::fs::copy(folder.join(name), copy.path().join(name));
        }
        self.assert_kept_at(&copy.path().join("kootask.db"));
    }

    #[track_caller]
    fn assert_kept_in(&self, tasks: &BTreeMap<String, Vec<i64>>) {
        let ids: HashSet<i64> = self.answered.iter().map(|(_, id)| *id).collect();
        assert_eq!(ids.len(), self.answered.len(), "an id was answered twice");
        for (source, id) in &self.answered {
            assert_eq!(
                tasks.get(source).map(Vec::as_slice),
                Some(&[*id][..]),
                "{source}"
            );
        }
        let mut known: HashSet<&str> = self.answered.iter().map(|(source, _)| &**source).collect();
        for source in &self.unknown {
            assert!(
                tasks.get(source).is_none_or(|ids| ids.len() == 1),
                "{source}"
            );
            known.insert(source);
        }
        for source in tasks.keys() {
            assert!(known.contains(&**source), "nobody asked for {source}");
        }
    }
}

/// The ids of the tasks of each source user, from ids and parameters.
fn tasks(rows: impl Iterator<Item = (i64, String)>) -> BTreeMap<String, Vec<i64>> {
    let mut tasks: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (id, parameters) in rows {
        let parameters: Value = serde_json::from_str(&parameters).unwrap();
        assert_eq!(parameters["dstUserId"], "recipient");
        let source = parameters["srcUserId"].as_str().unwrap().to_owned();
        tasks.entry(source).or_default().push(id);
    }
    tasks
}
