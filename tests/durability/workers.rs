//! Workers go on though the service is killed under them: nothing is lost, and
//! nothing ends twice.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kootask::worker;
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::Place;
use super::load::{Load, settle};
use crate::support::client::Call;
use crate::support::crew::{ATTEMPTS, Crew, Row, TASKS};
use crate::support::process::TestProcess;
use crate::support::until;

/// How long a worker rests when there is nothing, or nobody to ask.
const REST: Duration = Duration::from_millis(20);

/// What the workers share: where the service is, and what they have ended.
struct Work {
    address: Mutex<SocketAddr>,
    ended: Mutex<HashSet<String>>,
}

impl Work {
    fn ended(&self) -> usize {
        self.ended.lock().unwrap().len()
    }

    /// The answer to a call, which is made until it has one.
    async fn call(&self, path: &str, body: &Value) -> Value {
        loop {
            let address = *self.address.lock().unwrap();
            let call = Call::new(address, "POST", path)
                .bearer("a-worker")
                .header("Content-Type", "application/json")
                .body(body.to_string());
            if let Ok(answer) = call.try_send().await
                && answer.status != 503
            {
                assert_eq!(answer.status, 200, "{path} {body}: {answer:?}");
                return answer.body;
            }
            tokio::time::sleep(REST).await;
        }
    }

    async fn run(&self) {
        loop {
            // The same again until it is answered: it gets the same tasks.
            let claim = json!({
                "worker": "w1", "claimId": Uuid::new_v4().to_string(), "max": 7,
            });
            let claimed = self.call(worker::CLAIM, &claim).await;
            let tasks = claimed["tasks"].as_array().unwrap();
            if tasks.is_empty() {
                tokio::time::sleep(REST).await;
            }
            for task in tasks {
                assert_eq!(task["fence"], 1, "{task}");
                let id = task["taskId"].as_str().unwrap();
                let path = worker::COMPLETE.replace("{task_id}", id);
                self.call(&path, &json!({"fence": task["fence"]})).await;
                let is_new = self.ended.lock().unwrap().insert(id.to_owned());
                assert!(is_new, "{id} was ended twice");
            }
        }
    }
}

#[tokio::test]
async fn every_task_ends_once_though_the_service_is_killed_under_its_workers() {
    let place = Place::new();
    let mut process = place.serve();
    let work = Arc::new(Work {
        address: Mutex::new(process.address),
        ended: Mutex::default(),
    });
    let mut workers = JoinSet::new();
    for _ in 0..4 {
        let work = Arc::clone(&work);
        workers.spawn(async move { work.run().await });
    }
    let mut ledger = super::ledger::Ledger::default();
    for round in 0..5 {
        let load = Load::start(process.address, 8, &format!("round-{round}"));
        load.answers(100).await;
        let before = work.ended();
        until("tasks to end", async || work.ended() >= before + 50).await;
        process.kill();
        ledger.extend(load.ended().await);
        process = place.serve();
        *work.address.lock().unwrap() = process.address;
    }
    settle(process.address, &mut ledger).await;
    let tasks = async |which: &str| -> usize {
        let query = format!("SELECT count(*) FROM task WHERE {which}");
        let connection = Connection::open(place.path()).unwrap();
        connection
            .query_row(&query, [], |row| row.get::<_, i64>(0))
            .unwrap()
            .try_into()
            .unwrap()
    };
    let all = tasks("true").await;
    until("every task to end", async || work.ended() == all).await;
    workers.abort_all();
    while let Some(ended) = workers.join_next().await {
        assert!(ended.unwrap_err().is_cancelled());
    }
    // Each by its first attempt.
    assert_eq!(tasks("status = 2 AND fence = 1").await, all);
    process.kill();
    ledger.assert_kept_at(&place.path());
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_with_the_process_gets_the_same_tasks() {
    let place = Place::new();
    let process = place.serve();
    process
        .create(crate::support::client::TRANSFER)
        .send()
        .await
        .task_id();
    let claim = json!({"worker": "w1", "claimId": Uuid::new_v4().to_string()});
    let ask = async |process: &TestProcess| {
        let call = Call::new(process.address, "POST", worker::CLAIM)
            .bearer("a-worker")
            .header("Content-Type", "application/json")
            .body(claim.to_string());
        call.send().await.body["tasks"].clone()
    };
    let tasks = ask(&process).await;
    assert_eq!(tasks[0]["fence"], 1);
    process.kill();
    let process = place.serve();
    assert_eq!(ask(&process).await, tasks);
    process.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_task_ends_once_though_the_service_and_workers_are_paused_past_their_leases() {
    let place = Place::new();
    let process = place.serve();
    let mut crew = Crew::new();
    crew.knows(&[process.address]);
    let (dies, sleeps) = (crew.hire(), crew.hire());
    let _others = [crew.hire(), crew.hire()];
    let rest = Duration::from_millis(150);
    let load = Load::start_resting(process.address, 2, "load", rest);
    until("work to be done", async || crew.ended() >= 20).await;
    crew.pause(&dies).await;
    dies.kill();
    let late = crew.pause(&sleeps).await;
    process.signal("STOP");
    // Whatever was promised is over, and 5 s more.
    let paused_at = SystemTime::now();
    until("leases to be over", async || {
        paused_at.elapsed().unwrap() > Duration::from_secs(16)
    })
    .await;
    let paused_until = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    process.signal("CONT");
    sleeps.signal("CONT");
    load.stop().await;
    let connection = Connection::open(place.path()).unwrap();
    let rows = |query: &str| -> Vec<Row> {
        let mut statement = connection.prepare(query).unwrap();
        let row = |row: &rusqlite::Row<'_>| Ok([row.get(0)?, row.get(1)?, row.get(2)?]);
        statement
            .query_map([], row)
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    until("every task to end", async || {
        rows(TASKS).iter().all(|[_, status, _]| *status == 2)
    })
    .await;
    until("late reports", async || {
        crew.told().refused.is_superset(&late)
    })
    .await;
    crew.assert_kept(&rows(TASKS), &rows(ATTEMPTS), paused_until.as_secs_f64());
}
