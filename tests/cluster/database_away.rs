//! The database goes away under load and comes back.

use super::readers::Readers;
use super::{assert_in_time, assert_serves_everybody_soon, node_of};
use crate::durability::ledger::Ledger;
use crate::durability::load::{Load, settle};
use crate::support::postgres::{PostgresServer, TestDatabase};
use crate::support::process::TestProcess;
use crate::support::proxy::{ClosedPort, Proxy};

/// Under load, `lose` takes the database away and `regain` brings it back, some
/// rounds.
async fn assert_survives(database: &TestDatabase, url: &str, lose: impl Fn(), regain: impl Fn()) {
    let process = TestProcess::dev(url);
    let mut ledger = Ledger::default();
    node_of(process.address, "before", &mut ledger).await;
    let readers = Readers::start(process.address, 4, ledger.answered[0].1);
    let load = Load::start(process.address, 16, "load");
    for round in 0..3 {
        load.answers(100).await;
        lose();
        load.refusals(16).await;
        regain();
        assert_serves_everybody_soon(process.address, &format!("round-{round}"), &mut ledger).await;
    }
    load.answers(100).await;
    let read = readers.stop().await;
    assert!(read.refused > 0, "no read has met the fault: {read:?}");
    eprintln!("{read:?}");
    ledger.extend(load.stop().await);
    assert_in_time(&ledger);
    settle(process.address, &mut ledger).await;
    ledger.assert_kept_by(database);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_stopped_and_started_loses_nothing_that_was_answered() {
    let server = PostgresServer::start(&["fsync=off"]);
    let database = server.database();
    let (lose, regain) = (|| server.stop(), || server.start_again());
    assert_survives(&database, &database.url, lose, regain).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_crashes_loses_nothing_that_was_answered() {
    let server = PostgresServer::start(&["fsync=off"]);
    let database = server.database();
    let (lose, regain) = (|| server.crash(), || server.start_again());
    assert_survives(&database, &database.url, lose, regain).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_that_finds_nobody_at_first_loses_nothing_that_was_answered() {
    let (database, closed) = (TestDatabase::shared(), ClosedPort::new());
    let proxy = Proxy::to(database.port()).await;
    let lose = || {
        proxy.turn_to(closed.port);
        proxy.cut();
    };
    let regain = || proxy.turn_to(database.port());
    assert_survives(&database, &database.url_through(proxy.port), lose, regain).await;
}
