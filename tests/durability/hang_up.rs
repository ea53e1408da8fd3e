//! Clients that leave in the middle.

use rand::Rng;

use super::Place;
use super::ledger::Ledger;
use super::load::{key_line, settle};
use crate::support::until;
use crate::support::wire::{Wire, create_request, transfer_from};

#[tokio::test]
async fn a_client_that_leaves_mid_create_leaves_a_whole_task_or_none() {
    let place = Place::new();
    let process = place.serve();
    let idle_files = process.open_files();
    let mut ledger = Ledger::default();
    for number in 0..300 {
        let source = format!("left-{number}-keyed");
        let request = create_request(&key_line(&source), &transfer_from(&source));
        let mut wire = Wire::connect(process.address).await;
        // Most send it all and leave before the answer.
        let sent = match number % 4 {
            0 => rand::rng().random_range(0..request.len()),
            _ => request.len(),
        };
        wire.send(&request[..sent]).await.unwrap();
        ledger.unknown.push(source);
    }
    // Nothing of them is left: no connection, no lock, no half of a task.
    until("connections to be let go", async || {
        process.open_files() <= idle_files
    })
    .await;
    settle(process.address, &mut ledger).await;
    assert_eq!(ledger.answered.len(), 300);
    process.kill();
    ledger.assert_kept_at(&place.path());
}

#[tokio::test]
async fn a_client_that_leaves_before_the_end_of_its_body_leaves_no_task() {
    let place = Place::new();
    let process = place.serve();
    let idle_files = process.open_files();
    for number in 0..50 {
        let body = transfer_from(&format!("left-{number}"));
        let mut wire = Wire::connect(process.address).await;
        wire.begin_create("", body.len()).await;
        wire.send(&body[..body.len() - 1]).await.unwrap();
    }
    until("connections to be let go", async || {
        process.open_files() <= idle_files
    })
    .await;
    process.kill();
    Ledger::default().assert_kept_at(&place.path());
}
