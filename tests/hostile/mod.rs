//! Clients that mean harm, or act as if they did: each costs little, and others
//! are served meanwhile.

mod bodies;
mod crowds;
mod framing;
mod heads;
mod silence;

use std::time::{Duration, Instant};

use crate::support::process::TestProcess;
use crate::support::wire::{Wire, transfer_from};

/// Another client is served, and without delay.
async fn assert_serves_others(process: &TestProcess) {
    let asked = Instant::now();
    let mut wire = Wire::connect(process.address).await;
    wire.create("", &transfer_from("source"))
        .await
        .unwrap()
        .task_id();
    assert!(
        asked.elapsed() < Duration::from_secs(3),
        "it took {:?}",
        asked.elapsed()
    );
}

/// A stand-in with this `[server]` section.
fn serve_with(server: &str) -> TestProcess {
    TestProcess::configured(&format!("[server]\n{server}"))
}
