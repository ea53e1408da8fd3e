//! The calls of workers, and what tenants do to a task's life.

/// Makes a test of each function, which takes the URL of a store, for each store.
macro_rules! every_store {
    ($($test:ident,)*) => {
        mod memory {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test("memory:").await;
                }
            )*
        }
        mod sqlite {
            $(
                #[tokio::test]
                async fn $test() {
                    let folder = tempfile::tempdir().unwrap();
                    let file = folder.path().join("kootask.db");
                    super::$test(&format!("sqlite://{}", file.display())).await;
                }
            )*
        }
        mod postgres {
            $(
                #[tokio::test]
                async fn $test() {
                    let database = crate::support::postgres::TestDatabase::shared();
                    super::$test(&database.url).await;
                }
            )*
        }
    };
}

mod access;
mod bodies;
mod claims;
mod download;
mod example;
mod history;
mod import;
mod states;

use std::time::Duration;

use kootask::task::attempt::Claim;
use kootask::task::life_cycle::Command;
use kootask::worker;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::TestApp;
use crate::support::client::{Answer, TRANSFER};

/// The path of a call for this task.
fn path(template: &str, id: i64) -> String {
    template.replace("{task_id}", &id.to_string())
}

/// A claim for a credential of this name.
fn claim_of(holder: &str) -> Command {
    Command::Claim {
        claim: Claim {
            claim_id: Uuid::new_v4(),
            worker: "w1".parse().unwrap(),
            holder: holder.parse().unwrap(),
            lease: Duration::from_secs(3600),
        },
        timeout: Duration::from_secs(24 * 3600),
    }
}

/// A task that the stand-in's worker has begun: its fence is 1.
async fn begun(app: &TestApp) -> i64 {
    let id = app.create(TRANSFER).send().await.task_id();
    app.apply(id, claim_of("dev")).await;
    id
}

/// A report on a task of the stand-in.
async fn report(app: &TestApp, template: &str, id: i64, body: &Value) -> Answer {
    app.worker(&path(template, id), body).send().await
}

async fn complete(app: &TestApp, id: i64, fence: u32) -> Answer {
    report(app, worker::COMPLETE, id, &json!({"fence": fence})).await
}

/// The wire's status and result code of a task.
async fn status(app: &TestApp, id: i64) -> (u64, Option<String>) {
    let target = format!("/koodrive/ose/v1/task/{id}");
    let body = app.read(&target).send().await.body;
    let code = body["resultCode"].as_str().map(str::to_owned);
    (body["status"].as_u64().unwrap(), code)
}
