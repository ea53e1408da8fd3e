//! What was answered is kept, and what fails says so: kills, failing storage,
//! overload, clients that leave, and shutdown.

mod backup;
mod crash;
mod disk_full;
mod fsync;
mod hang_up;
pub mod ledger;
pub mod load;
mod mounted;
mod overload;
pub mod shutdown;
mod storage_away;
mod workers;

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::process::TestProcess;

/// No test waits longer than this for a change to come.
const LIMIT: Duration = Duration::from_secs(30);

/// A place for a database, gone with the test.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("kootask.db")
    }

    fn url(&self) -> String {
        format!("sqlite://{}", self.path().display())
    }

    fn serve(&self) -> TestProcess {
        TestProcess::dev(&self.url())
    }
}
