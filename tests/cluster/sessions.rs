//! Sessions of the database: they are ended by others, and clients leave in the
//! middle of what is done in them.

use std::time::Instant;

use rand::Rng;

use super::readers::Readers;
use super::{
    LIMIT, RECOVERY_LIMIT, WAITS, assert_in_time, assert_serves_everybody_soon, detail, node_of,
    sessions,
};
use crate::durability::ledger::Ledger;
use crate::durability::load::{Load, key_line, settle};
use crate::support::postgres::TestDatabase;
use crate::support::process::TestProcess;
use crate::support::proxy::Proxy;
use crate::support::until;
use crate::support::wire::{Wire, create_request, read_request, transfer_from};

/// Ends every session of the program as an administrator does; how many.
fn end_sessions(database: &TestDatabase) -> usize {
    // Two steps: ended is nobody else.
    let count = database.sql(
        "WITH session AS MATERIALIZED (
             SELECT pid FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'kootask'
         )
         SELECT count(*) FROM session WHERE pg_terminate_backend(pid)",
    );
    count.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_are_ended_are_replaced_and_creates_hardly_notice() {
    let database = TestDatabase::shared();
    let process = TestProcess::dev(&database.url);
    let mut probe = Ledger::default();
    node_of(process.address, "before", &mut probe).await;
    let readers = Readers::start(process.address, 4, probe.answered[0].1);
    let load = Load::start(process.address, 16, "load");
    let mut ended = 0;
    for _ in 0..30 {
        load.answers(50).await;
        ended += end_sessions(&database);
    }
    assert!(ended >= 30, "{ended}");
    load.answers(50).await;
    let refused = load.refused();
    let mut ledger = load.stop().await;
    eprintln!(
        "{ended} sessions ended, {} creates answered, {refused} refused; {:?}",
        ledger.answered.len(),
        readers.stop().await,
    );
    ledger.extend(probe);
    // At most what was in the writer's hands once.
    assert!(refused <= 16, "{refused} creates were refused");
    assert_in_time(&ledger);
    assert_serves_everybody_soon(process.address, "afterwards", &mut ledger).await;
    settle(process.address, &mut ledger).await;
    ledger.assert_kept_by(&database);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_answered_and_not_repeated() {
    let database = TestDatabase::shared();
    let proxy = Proxy::to(database.port()).await;
    let process = TestProcess::dev(&database.url_through(proxy.port));
    let mut ledger = Ledger::default();
    for round in 0..4 {
        let source = format!("source-{round}");
        let line = match round % 2 {
            0 => key_line(&source),
            _ => String::new(),
        };
        // The session knows the statement by then: it takes no questions first.
        node_of(process.address, &format!("before-{round}"), &mut ledger).await;
        proxy.hold_answers_back();
        let mut wire = Wire::connect(process.address).await;
        wire.send(create_request(&line, &transfer_from(&source)))
            .await
            .unwrap();
        until("the task to be committed", async || {
            database.is_true(&format!(
                "count(*) = 1 FROM task WHERE src_user_id = '{source}'"
            ))
        })
        .await;
        proxy.cut();
        ledger.answered.push((source, wire.reply().await.task_id()));
    }
    ledger.assert_kept_by(&database);
}

/// Sends requests of either kind, some of them not to their end, and leaves.
/// While `table` is locked, where one is given, all wait that arrive.
async fn leave(
    database: &TestDatabase,
    process: &TestProcess,
    table: Option<&str>,
    ledger: &mut Ledger,
) {
    let target = detail(ledger.answered[0].1);
    let lock = table.map(|table| database.lock(table));
    let idle_files = process.open_files();
    let mut wires = Vec::new();
    for number in 0..100 {
        let source = format!("left-{}-{number}-keyed", table.is_some());
        let create = create_request(&key_line(&source), &transfer_from(&source));
        ledger.unknown.push(source);
        for request in [create, read_request(&target)] {
            let mut wire = Wire::connect(process.address).await;
            let sent = match number % 4 {
                0 => rand::rng().random_range(0..request.len()),
                _ => request.len(),
            };
            wire.send(&request[..sent]).await.unwrap();
            wires.push(wire);
        }
    }
    if lock.is_some() {
        until("reads and a commit to hang", async || {
            sessions(database, WAITS) >= 3
        })
        .await;
    }
    drop(wires);
    until("connections to be let go", async || {
        process.open_files() <= idle_files + 10
    })
    .await;
    drop(lock);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_leave_leave_no_transaction_and_no_connection_behind() {
    let database = TestDatabase::shared();
    let process = TestProcess::dev(&database.url);
    let mut ledger = Ledger::default();
    node_of(process.address, "before", &mut ledger).await;
    for table in [None, Some("task")] {
        leave(&database, &process, table, &mut ledger).await;
        until("what they asked for to be over", async || {
            sessions(&database, "state <> 'idle'") == 0
        })
        .await;
        let name = format!("afterwards-{}", table.is_some());
        assert_serves_everybody_soon(process.address, &name, &mut ledger).await;
        until("no transaction to be open", async || {
            sessions(&database, "xact_start IS NOT NULL") == 0
        })
        .await;
        // As many as `store.max_connections` at most: 6, and one for each core.
        let most = 6 + std::thread::available_parallelism().unwrap().get();
        assert!(sessions(&database, "true") <= most);
    }
    settle(process.address, &mut ledger).await;
    ledger.assert_kept_by(&database);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_with_a_machine_that_is_gone_do_not_hold_up_reads_for_long() {
    let database = TestDatabase::shared();
    let proxy = Proxy::to(database.port()).await;
    let process = TestProcess::dev(&database.url_through(proxy.port));
    let mut ledger = Ledger::default();
    node_of(process.address, "before", &mut ledger).await;
    let id = ledger.answered[0].1;
    // All connections for reads are there, and then nobody is at their end.
    let readers = Readers::start(process.address, 16, id);
    let pool = 4 + std::thread::available_parallelism().unwrap().get();
    until("every connection to be made", async || {
        sessions(&database, "true") > pool
    })
    .await;
    readers.stop().await;
    proxy.silence();
    proxy.heal_for_new();
    // One read alone must not try them all, one after the other.
    let asked = Instant::now();
    let mut wire = Wire::connect(process.address).await;
    let reply = wire.read(&detail(id)).await.unwrap();
    let took = asked.elapsed();
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(took < RECOVERY_LIMIT, "it took {took:?}");
    assert_serves_everybody_soon(process.address, "afterwards", &mut ledger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_whose_sessions_were_ended_gives_its_node_back_all_the_same() {
    let database = TestDatabase::shared();
    let process = TestProcess::dev(&database.url);
    let node = node_of(process.address, "before", &mut Ledger::default()).await;
    end_sessions(&database);
    process.signal("TERM");
    assert_eq!(process.ended_within(LIMIT).await.code(), Some(0));
    assert!(database.is_true(&format!(
        "expires_at <= now() FROM node_lease WHERE node = {node}"
    )));
}
