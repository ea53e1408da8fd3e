//! The process is killed at any moment, as a crash or the OOM killer does it.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::Place;
use super::ledger::Ledger;
use super::load::{Load, is_keyed, retry_keyed, settle};

/// A seed of the environment's choice, to repeat a failure, or any other.
fn seed() -> u64 {
    let seed = match std::env::var("TEST_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => rand::random(),
    };
    eprintln!("TEST_SEED={seed}");
    seed
}

#[tokio::test]
async fn a_kill_loses_nothing_that_was_answered_and_repeats_nothing() {
    let mut random = StdRng::seed_from_u64(seed());
    let place = Place::new();
    let mut ledger = Ledger::default();
    let mut process = place.serve();
    for round in 0..8 {
        let load = Load::start(process.address, 24, &format!("round-{round}"));
        load.answers(random.random_range(1..800)).await;
        process.kill();
        ledger.extend(load.ended().await);
        ledger.assert_kept_in_copy_of(place.0.path());

        process = place.serve();
        settle(process.address, &mut ledger).await;
        for _ in 0..20 {
            let (source, id) = &ledger.answered[random.random_range(0..ledger.answered.len())];
            if is_keyed(source) {
                assert_eq!(retry_keyed(process.address, source).await, *id, "{source}");
            }
        }
    }
    process.kill();
    ledger.assert_kept_at(&place.path());
}

#[tokio::test]
async fn a_kill_while_the_service_comes_up_does_no_harm() {
    let mut random = StdRng::seed_from_u64(seed());
    let place = Place::new();
    let mut ledger = Ledger::default();
    for round in 0..6 {
        let process = place.serve();
        let load = Load::start(process.address, 4, &format!("round-{round}"));
        load.answers(20).await;
        process.kill();
        ledger.extend(load.ended().await);
        // Recovery itself is cut short, at any of its steps.
        for _ in 0..3 {
            let mut starting = crate::support::process::kootask()
                .args(["dev", "--listen", "127.0.0.1:0", "--store", &place.url()])
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap();
            tokio::time::sleep(std::time::Duration::from_micros(
                random.random_range(0..60_000),
            ))
            .await;
            starting.kill().unwrap();
            starting.wait().unwrap();
        }
        ledger.assert_kept_in_copy_of(place.0.path());
    }
    let process = place.serve();
    settle(process.address, &mut ledger).await;
    process.kill();
    ledger.assert_kept_at(&place.path());
}
