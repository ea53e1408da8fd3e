//! Starts: several at the same time, and before the database is there.

use std::process::Stdio;
use std::time::Duration;

use super::{LIMIT, assert_made_apart, node_of};
use crate::durability::ledger::Ledger;
use crate::support::postgres::TestDatabase;
use crate::support::process::{TestProcess, ended_within, kootask, send_signal};
use crate::support::proxy::{ClosedPort, Proxy};
use crate::support::until;
use tokio::task::JoinSet;

/// A start that goes on beside the test.
async fn start(url: String) -> TestProcess {
    tokio::task::spawn_blocking(move || TestProcess::dev(&url))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_start_at_once_on_an_empty_database_migrate_it_once() {
    for _ in 0..3 {
        let database = TestDatabase::shared();
        let mut starts = JoinSet::new();
        for _ in 0..6 {
            starts.spawn(start(database.url.clone()));
        }
        let instances = starts.join_all().await;
        assert!(database.is_true("count(*) = max(version) FROM _sqlx_migrations"));
        let mut ledgers = Vec::new();
        for (number, instance) in instances.iter().enumerate() {
            let mut ledger = Ledger::default();
            node_of(instance.address, &format!("source-{number}"), &mut ledger).await;
            ledgers.push(ledger);
        }
        // One task of each: where two shared a node, this would not show it.
        assert_made_apart(&ledgers.iter().collect::<Vec<_>>());
        assert_eq!(
            database.sql("SELECT count(DISTINCT node) FROM task"),
            instances.len().to_string()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_not_up_yet_is_waited_for() {
    let (database, closed) = (TestDatabase::shared(), ClosedPort::new());
    let proxy = Proxy::to(closed.port).await;
    let starting = tokio::spawn(start(database.url_through(proxy.port)));
    until("attempts", async || proxy.accepted() >= 2).await;
    proxy.turn_to(database.port());
    let process = tokio::time::timeout(LIMIT, starting)
        .await
        .unwrap()
        .unwrap();
    node_of(process.address, "source", &mut Ledger::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_says_nothing_yet_is_asked_again() {
    let database = TestDatabase::shared();
    let proxy = Proxy::to(database.port()).await;
    proxy.silence();
    let starting = tokio::spawn(start(database.url_through(proxy.port)));
    until("an attempt", async || proxy.accepted() >= 1).await;
    proxy.heal_for_new();
    let process = tokio::time::timeout(LIMIT, starting)
        .await
        .unwrap()
        .unwrap();
    node_of(process.address, "source", &mut Ledger::default()).await;
}

/// What is sent SIGTERM while it waits for the database behind this proxy ends.
async fn assert_wait_can_be_ended(database: &TestDatabase, proxy: &Proxy) {
    let url = database.url_through(proxy.port);
    let mut process = kootask()
        .args(["dev", "--listen", "127.0.0.1:0", "--store", &url])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("an attempt", async || proxy.accepted() >= 1).await;
    send_signal(&process, "TERM");
    let status = ended_within(&mut process, Duration::from_secs(5)).await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_the_wait_for_a_database_that_is_not_up() {
    let (database, closed) = (TestDatabase::shared(), ClosedPort::new());
    let proxy = Proxy::to(closed.port).await;
    assert_wait_can_be_ended(&database, &proxy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_the_wait_for_a_database_that_says_nothing() {
    let database = TestDatabase::shared();
    let proxy = Proxy::to(database.port()).await;
    proxy.silence();
    assert_wait_can_be_ended(&database, &proxy).await;
}
