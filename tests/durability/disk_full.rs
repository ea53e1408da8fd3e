//! No space is left, and then there is again.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use rlimit::Resource;

use super::Place;
use super::load::{Load, settle};
use crate::support::command::command;
use crate::support::process::TestProcess;

/// A `kootask dev` as the last word of a shell script, `$0` and `$@` there.
pub fn serve_by(shell: &[&str], script: &str, place: &Place) -> Command {
    let mut command = command(shell[0]);
    command
        .args(&shell[1..])
        .args(["sh", "-c", script, env!("CARGO_BIN_EXE_kootask")])
        .args(["dev", "--listen", "127.0.0.1:0", "--store", &place.url()])
        .env("FOLDER", place.0.path());
    command
}

#[tokio::test]
async fn a_file_that_may_not_grow_refuses_creates_until_it_may() {
    let place = Place::new();
    // A signal comes with it, which by itself would end the process.
    let process = place.serve();
    let limit_files = |most: u64| {
        let id = i32::try_from(process.id()).unwrap();
        let (_, hard) = Resource::FSIZE.get().unwrap();
        rlimit::prlimit(id, Resource::FSIZE, Some((most, hard)), None).unwrap();
    };
    let load = Load::start(process.address, 16, "load");
    for _ in 0..3 {
        load.answers(100).await;
        let wal = place.0.path().join("kootask.db-wal");
        limit_files(wal.metadata().unwrap().len() + 10_000);
        load.refusals(40).await;
        let (_, hard) = Resource::FSIZE.get().unwrap();
        limit_files(hard);
    }
    load.answers(100).await;
    let mut ledger = load.stop().await;
    settle(process.address, &mut ledger).await;
    process.kill();
    ledger.assert_kept_at(&place.path());
}

/// How to start a shell that may mount, and whose mounts are its own.
pub fn mounting_shell() -> Option<&'static [&'static str]> {
    let shells: [&[&str]; 2] = [&["unshare", "-m"], &["unshare", "-rm"]];
    shells.into_iter().find(|shell| {
        let mut probe = command(shell[0]);
        probe
            .args(&shell[1..])
            .args(["sh", "-c", "mount -t tmpfs tmpfs /mnt"]);
        probe.output().is_ok_and(|output| output.status.success())
    })
}

/// Writes a file that takes all the space there is.
fn fill(path: &Path) {
    let mut ballast = std::fs::File::create(path).unwrap();
    for size in [1 << 16, 1 << 12] {
        let block = vec![0; size];
        while ballast.write_all(&block).is_ok() {}
    }
}

#[tokio::test]
async fn a_full_disk_refuses_creates_until_there_is_space() {
    let Some(shell) = mounting_shell() else {
        eprintln!("not shown here: this user may not mount");
        return;
    };
    let place = Place::new();
    let script = "mount -t tmpfs -o size=8m tmpfs \"$FOLDER\" && exec \"$0\" \"$@\"";
    let process = TestProcess::start(serve_by(shell, script, &place));
    // The mount is the process's own; this is the way to it from here.
    let within = format!("/proc/{}/root{}", process.id(), place.0.path().display());
    let within = Path::new(&within);
    let ballast = within.join("ballast");
    let load = Load::start(process.address, 16, "load");
    for _ in 0..3 {
        load.answers(100).await;
        fill(&ballast);
        load.refusals(40).await;
        std::fs::remove_file(&ballast).unwrap();
    }
    load.answers(100).await;
    let mut ledger = load.stop().await;
    settle(process.address, &mut ledger).await;
    assert!(
        !place.path().exists(),
        "the database is not on the small disk"
    );
    ledger.assert_kept_in_copy_of(within);
    process.signal("TERM");
    assert!(process.ended_within(super::LIMIT).await.success());
}
