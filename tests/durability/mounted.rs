//! The database file alone is mounted, as it may be into a container.

use std::fs;

use super::disk_full::{mounting_shell, serve_by};
use super::{LIMIT, Place};
use crate::support::process::TestProcess;

#[tokio::test]
async fn a_database_that_is_mounted_without_its_folder_is_warned_of() {
    let Some(shell) = mounting_shell() else {
        eprintln!("not shown here: this user may not mount");
        return;
    };
    let place = Place::new();
    let script = "cd \"$FOLDER\" && touch outside.db kootask.db && \
                  mount --bind outside.db kootask.db && exec \"$0\" \"$@\" > log";
    let process = TestProcess::start(serve_by(shell, script, &place));
    process.signal("TERM");
    assert!(process.ended_within(LIMIT).await.success());
    let log = fs::read_to_string(place.0.path().join("log")).unwrap();
    assert!(log.contains("mount the folder instead"), "{log}");
}
