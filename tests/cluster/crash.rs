//! An instance is killed at any moment; the database and other instances go on.

use rand::Rng;

use super::{assert_made_apart, assert_serves_everybody_soon};
use crate::durability::ledger::Ledger;
use crate::durability::load::{Load, is_keyed, retry_keyed, settle};
use crate::support::postgres::TestDatabase;
use crate::support::process::TestProcess;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_nothing_that_was_answered_and_repeat_nothing() {
    let database = TestDatabase::shared();
    let bystander = TestProcess::dev(&database.url);
    let mut ledger = Ledger::default();
    let mut instances = Vec::new();
    for round in 0..5 {
        let process = TestProcess::dev(&database.url);
        let load = Load::start(process.address, 24, &format!("round-{round}"));
        load.answers(rand::rng().random_range(1..800)).await;
        process.kill();
        instances.push(load.ended().await);
        // What the killed instance was asked, another knows.
        let mut killed = instances[round].clone();
        settle(bystander.address, &mut killed).await;
        for _ in 0..20 {
            let (source, id) = &killed.answered[rand::rng().random_range(0..killed.answered.len())];
            if is_keyed(source) {
                assert_eq!(
                    retry_keyed(bystander.address, source).await,
                    *id,
                    "{source}"
                );
            }
        }
        ledger.extend(killed);
        ledger.assert_kept_by(&database);
    }
    assert_made_apart(&instances.iter().collect::<Vec<_>>());
    assert_serves_everybody_soon(bystander.address, "bystander", &mut ledger).await;
    ledger.assert_kept_by(&database);
}
