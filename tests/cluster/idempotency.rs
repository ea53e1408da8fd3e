//! A key makes one task, whichever instances it reaches, and when.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::seq::SliceRandom;
use tokio::task::JoinSet;

use super::{WAITS, sessions};
use crate::durability::ledger::Ledger;
use crate::durability::load::{create_keyed, key_line};
use crate::support::postgres::TestDatabase;
use crate::support::process::TestProcess;
use crate::support::proxy::Proxy;
use crate::support::until;
use crate::support::wire::{Wire, create_request, transfer_from};

/// Three instances on a new database.
fn three(database: &TestDatabase) -> [TestProcess; 3] {
    std::array::from_fn(|_| TestProcess::dev(&database.url))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_sent_to_all_instances_at_once_makes_one_task() {
    let database = TestDatabase::shared();
    let instances = three(&database);
    let mut wires = Vec::new();
    for instance in &instances {
        wires.push(Wire::connect(instance.address).await);
    }
    let [one, two, three] = &mut wires[..] else {
        unreachable!()
    };
    let mut ledger = Ledger::default();
    let mut makers = HashMap::new();
    for number in 0..150 {
        let source = format!("key-{number}");
        let (one, two, three) = tokio::join!(
            create_keyed(one, &source),
            create_keyed(two, &source),
            create_keyed(three, &source),
        );
        let [one, two, three] = [one, two, three].map(|reply| reply.unwrap().task_id());
        assert_eq!((one, two), (two, three), "{source}");
        *makers.entry(super::node(one)).or_insert(0) += 1;
        ledger.answered.push((source, one));
    }
    ledger.assert_kept_by(&database);
    eprintln!("tasks by node: {makers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_keys_that_meet_in_the_commits_of_all_instances_make_one_task_each() {
    const KEYS: usize = 60;
    let database = TestDatabase::shared();
    let instances = three(&database);
    let mut ledger = Ledger::default();
    for round in 0..10 {
        let mut clients = JoinSet::new();
        let sent = Arc::new(AtomicUsize::new(0));
        // Until all are there, nobody gets on: then they meet in large commits.
        let lock = database.lock("idempotency");
        for instance in &instances {
            // In another order at each, so that they could wait for each other in
            // a circle.
            let mut keys: Vec<usize> = (0..KEYS).collect();
            keys.shuffle(&mut rand::rng());
            for key in keys {
                let source = format!("round-{round}-key-{key}");
                let mut wire = Wire::connect(instance.address).await;
                let sent = Arc::clone(&sent);
                clients.spawn(async move {
                    let request = create_request(&key_line(&source), &transfer_from(&source));
                    wire.send(&request).await.unwrap();
                    sent.fetch_add(1, Ordering::SeqCst);
                    let mut reply = wire.reply().await;
                    // On a slow machine it takes long until all are there.
                    while reply.status == 503 {
                        wire.send(&request).await.unwrap();
                        reply = wire.reply().await;
                    }
                    (source, reply.task_id())
                });
            }
        }
        until("all to be sent, and to wait", async || {
            sent.load(Ordering::SeqCst) == 3 * KEYS && sessions(&database, WAITS) == 3
        })
        .await;
        drop(lock);
        let mut tasks = HashMap::new();
        for (source, id) in clients.join_all().await {
            assert_eq!(*tasks.entry(source.clone()).or_insert(id), id, "{source}");
        }
        ledger.answered.extend(tasks);
    }
    ledger.assert_kept_by(&database);
    assert!(
        database.is_true("deadlocks = 0 FROM pg_stat_database WHERE datname = current_database()")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_one_instance_has_answered_is_known_to_the_others() {
    let database = TestDatabase::shared();
    let instances = three(&database);
    let mut wires = Vec::new();
    for instance in &instances {
        wires.push(Wire::connect(instance.address).await);
    }
    let mut ledger = Ledger::default();
    for number in 0..30 {
        let source = format!("key-{number}");
        let id = create_keyed(&mut wires[number % 3], &source)
            .await
            .unwrap()
            .task_id();
        for wire in &mut wires {
            let again = create_keyed(wire, &source).await.unwrap();
            assert_eq!(again.task_id(), id);
            let other_body = wire
                .create(&key_line(&source), &transfer_from("somebody-else"))
                .await
                .unwrap();
            assert_eq!(other_body.status, 422, "{other_body:?}");
        }
        ledger.answered.push((source, id));
    }
    ledger.assert_kept_by(&database);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_bodies_that_reach_two_instances_at_once_one_has_the_key() {
    let database = TestDatabase::shared();
    let [one, other, bystander] = three(&database);
    let (mut one, mut other) = (
        Wire::connect(one.address).await,
        Wire::connect(other.address).await,
    );
    let mut bystander = Wire::connect(bystander.address).await;
    let mut ledger = Ledger::default();
    for number in 0..100 {
        let line = key_line(&format!("key-{number}"));
        let sources = [format!("one-{number}"), format!("other-{number}")];
        let bodies = sources.clone().map(|source| transfer_from(&source));
        let (first, second) = tokio::join!(
            one.create(&line, &bodies[0]),
            other.create(&line, &bodies[1])
        );
        let replies = [first.unwrap(), second.unwrap()];
        let winner = usize::from(replies[0].status != 200);
        let id = replies[winner].task_id();
        assert_eq!(replies[1 - winner].status, 422, "{replies:?}");
        let again = bystander.create(&line, &bodies[winner]).await.unwrap();
        assert_eq!(again.task_id(), id);
        ledger.answered.push((sources[winner].clone(), id));
    }
    ledger.assert_kept_by(&database);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_that_reaches_the_database_late_makes_no_second_task() {
    let database = TestDatabase::shared();
    let proxy = Proxy::to(database.port()).await;
    let cut_off = TestProcess::dev(&database.url_through(proxy.port));
    let mut wire = Wire::connect(cut_off.address).await;
    let mut ledger = Ledger::default();
    let id = create_keyed(&mut wire, "before").await.unwrap().task_id();
    ledger.answered.push(("before".to_owned(), id));
    let writer = database.sql(
        "SELECT pid FROM pg_stat_activity
         WHERE datname = current_database() AND query LIKE '%INSERT INTO task%'
           AND pid <> pg_backend_pid()",
    );
    proxy.silence();
    let reply = create_keyed(&mut wire, "key").await.unwrap();
    reply.assert_unavailable();
    // The client tries again elsewhere, and then what it sent first arrives.
    let other = TestProcess::dev(&database.url);
    let mut other = Wire::connect(other.address).await;
    let id = create_keyed(&mut other, "key").await.unwrap().task_id();
    ledger.answered.push(("key".to_owned(), id));
    proxy.heal();
    until("the session of the first attempt to end", async || {
        database.is_true(&format!(
            "NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {writer})"
        ))
    })
    .await;
    ledger.assert_kept_by(&database);
    let again = create_keyed(&mut other, "key").await.unwrap();
    assert_eq!(again.task_id(), id);
}
