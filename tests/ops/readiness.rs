//! `/readyz` tells the truth, whatever happens; `/healthz` stays 200.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use rlimit::Resource;
use serde_json::json;

use super::{Watched, serve};
use crate::support::client::{Call, TRANSFER};
use crate::support::command::command;
use crate::support::postgres::TestDatabase;
use crate::support::process::{ended_within, send_signal};
use crate::support::proxy::{ClosedPort, Proxy};
use crate::support::until;

/// How long the end may take where nothing holds it up; a machine under load
/// included.
const LIMIT: Duration = Duration::from_secs(30);

async fn assert_alive(service: &Watched) {
    let health = service.get("/healthz").await;
    assert_eq!((health.status.as_u16(), &*health.text), (200, "ok\n"));
}

#[tokio::test]
async fn it_is_ready_once_it_takes_requests() {
    let service = Watched::start(serve());
    let ready = service.readiness("ready").await;
    assert_eq!(ready.status, 200);
    assert_eq!(ready.media_type, "application/json");
    assert_eq!(
        ready.json(),
        json!({"status": "ready", "checks": {"store": "ok"}})
    );
    assert_alive(&service).await;
    assert_eq!(service.create().await, 200);
}

#[tokio::test]
async fn it_is_starting_while_its_database_is_not_there() {
    let closed = ClosedPort::new();
    let mut command = serve();
    let url = format!("postgres://nobody@127.0.0.1:{}/none", closed.port);
    command.env("KOOTASK__STORE__URL", url);
    let mut service = Watched::start(command);
    let starting = service.readiness("starting").await;
    assert_eq!(starting.status, 503);
    assert_alive(&service).await;
    let metrics = service.get("/metrics").await.text;
    assert!(metrics.contains("\nkootask_ready 0\n"), "{metrics}");
    service.signal("TERM");
    let status = ended_within(&mut service.child, LIMIT).await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn it_is_draining_from_sigterm_on_and_still_serves() {
    let mut command = serve();
    command.env("KOOTASK__SERVER__DRAIN_DELAY", "1h");
    let mut service = Watched::start(command);
    let address = service.address().await;
    assert_eq!(service.readiness("ready").await.status, 200);
    service.signal("TERM");
    let draining = service.readiness("draining").await;
    assert_eq!(draining.status, 503);
    assert_alive(&service).await;
    let call = Call::create(address, TRANSFER).bearer(super::TOKEN);
    let answer = call.send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("connection"), "close");
    service.signal("TERM");
    let status = ended_within(&mut service.child, LIMIT).await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn it_is_failing_while_the_disk_is_full_and_ready_again_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kootask.db");
    let mut command = serve();
    command.env(
        "KOOTASK__STORE__URL",
        format!("sqlite://{}", path.display()),
    );
    let service = Watched::start(command);
    assert_eq!(service.create().await, 200);
    let id = i32::try_from(service.child.id()).unwrap();
    let (_, hard) = Resource::FSIZE.get().unwrap();
    let limit_files = |most| rlimit::prlimit(id, Resource::FSIZE, Some((most, hard)), None);
    let wal = folder.path().join("kootask.db-wal");
    limit_files(wal.metadata().unwrap().len() + 100).unwrap();
    until("it is failing", async || {
        service.create().await;
        service.get("/readyz").await.json()["status"] == "failing"
    })
    .await;
    assert_alive(&service).await;
    limit_files(hard).unwrap();
    // Nobody writes.
    let ready = service.readiness("ready").await;
    assert_eq!(ready.json()["checks"], json!({"store": "ok"}));
    let metrics = service.get("/metrics").await.text;
    assert!(!metrics.contains("\nkootask_store_commit_failures_total 0\n"));
    assert_eq!(service.create().await, 200);
}

/// A disk that does not do what it was told to, as one process sees it: `strace` holds
/// its syncs up.
struct Hang(std::process::Child);

impl Hang {
    /// Nothing where there is no `strace`, or it may not trace.
    fn of(process: u32) -> Option<Self> {
        let mut strace = command("strace");
        strace
            .args(["-f", "-e", "trace=fsync,fdatasync", "-e"])
            // In microseconds: far longer than the test.
            .arg("inject=fsync,fdatasync:delay_enter=1000000000")
            .args(["-p", &process.to_string()])
            .stderr(Stdio::piped());
        let mut hang = Self(strace.spawn().ok()?);
        let mut said = BufReader::new(hang.0.stderr.take()?).lines();
        let is_attached = said.next()?.ok()?.contains("attached");
        // Nobody may wait for what else it says.
        std::thread::spawn(move || said.for_each(drop));
        is_attached.then_some(hang)
    }
}

impl Drop for Hang {
    fn drop(&mut self) {
        send_signal(&self.0, "TERM");
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn it_is_failing_while_the_disk_hangs_and_ready_again_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite://{}/kootask.db", folder.path().display());
    let mut command = serve();
    command.env("KOOTASK__STORE__URL", store);
    let service = Watched::start(command);
    assert_eq!(service.create().await, 200);
    let Some(hang) = Hang::of(service.child.id()) else {
        eprintln!("not shown here: there is no strace, or it may not trace");
        return;
    };
    let call = Call::create(service.address().await, TRANSFER).bearer(super::TOKEN);
    let created = tokio::spawn(call.send());
    let failing = service.readiness("failing").await;
    assert_eq!(failing.status, 503);
    let checks = json!({"store": "a write has waited for more than 2 s"});
    assert_eq!(failing.json()["checks"], checks);
    assert_alive(&service).await;
    drop(hang);
    assert_eq!(service.readiness("ready").await.status, 200);
    // In time for its answer, or not.
    let status = created.await.unwrap().status;
    assert!([200, 503].contains(&status.as_u16()), "{status}");
    assert_eq!(service.create().await, 200);
}

#[tokio::test]
async fn it_is_failing_while_the_lease_of_its_node_is_unsure() {
    let (database, closed) = (TestDatabase::shared(), ClosedPort::new());
    let proxy = Proxy::to(database.port()).await;
    let mut command = serve();
    command.env("KOOTASK__STORE__URL", database.url_through(proxy.port));
    let service = Watched::start(command);
    let ready = service.readiness("ready").await;
    assert_eq!(ready.json()["checks"], json!({"store": "ok", "node": "ok"}));
    proxy.turn_to(closed.port);
    proxy.cut();
    let failing = service.readiness("failing").await;
    assert_eq!(failing.status, 503);
    assert_eq!(
        failing.json()["checks"]["node"],
        "the lease of the node is not sure"
    );
    assert_alive(&service).await;
    let metrics = service.get("/metrics").await.text;
    assert!(
        metrics.contains("\nkootask_store_lease_seconds 0"),
        "{metrics}"
    );
    proxy.turn_to(database.port());
    service.readiness("ready").await;
    assert_eq!(service.create().await, 200);
}
