//! The stand-in `kootask dev`: tasks that live, and the calls that lead them.

mod bounds;
mod control;
mod events;
mod examples;
mod faults;
mod journal;
mod page;
mod progress;
mod seed;
mod tenants;

use std::time::Duration;

use kootask::config::Defaults;
use serde_json::Value;

use crate::support::TestApp;

/// A stand-in with these settings of `[dev]`.
async fn stand_in(dev: &str) -> TestApp {
    TestApp::start(&format!("[dev]\n{dev}"), Defaults::Dev).await
}

/// What the detail call says of a task.
async fn detail(app: &TestApp, id: i64) -> Value {
    let answer = app
        .read(&format!("/koodrive/ose/v1/task/{id}"))
        .send()
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

/// The status that the detail call shows.
async fn status(app: &TestApp, id: i64) -> i64 {
    detail(app, id).await["status"].as_i64().unwrap()
}

/// Holds something to a limit that a busy machine can break and never keep: it is
/// tried up to ten times, and has to keep it once.
async fn takes_at_most(limit: Duration, mut once: impl AsyncFnMut() -> Duration) {
    let mut took = Vec::new();
    while took.len() < 10 {
        let time = once().await;
        if time <= limit {
            return;
        }
        took.push(time);
    }
    panic!("it took {took:?}");
}
