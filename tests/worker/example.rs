//! `examples/worker.py`: it does its work whatever befalls it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use kootask::{api, tenant};
use serde_json::Value;

use super::path;
use crate::support::client::{Call, TRANSFER, USER};
use crate::support::command::command;
use crate::support::process::{TestProcess, ended_within, send_signal};
use crate::support::proxy::Proxy;
use crate::support::until;

/// The example, against this port; killed when dropped.
struct Worker(Child);

impl Worker {
    fn start(port: u16) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/worker.py");
        let mut python: Command = command("python3");
        python
            .arg("-B")
            .arg(script)
            .env("KOOTASK_URL", format!("http://127.0.0.1:{port}"))
            .env("KOOTASK_LEASE_SECONDS", "10")
            .env("NO_PROXY", "*")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        Self(python.spawn().unwrap())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn read(process: &TestProcess, template: &str, id: i64) -> Value {
    let call = Call::new(process.address, "GET", &path(template, id));
    let call = call.header("X-User-Id", USER).at(Timestamp::now());
    call.send().await.body
}

async fn status(process: &TestProcess, id: i64) -> u64 {
    read(process, api::DETAIL, id).await["status"]
        .as_u64()
        .unwrap()
}

/// How each attempt at a task ended, or that it runs.
async fn states(process: &TestProcess, id: i64) -> Vec<String> {
    let answer = read(process, tenant::ATTEMPTS, id).await;
    let attempts = answer["attempts"].as_array().unwrap();
    let state = |attempt: &Value| attempt["state"].as_str().unwrap().to_owned();
    attempts.iter().map(state).collect()
}

async fn create(process: &TestProcess) -> i64 {
    process.create(TRANSFER).send().await.task_id()
}

async fn until_it_runs(process: &TestProcess, id: i64) {
    until("the task is begun", async || status(process, id).await == 1).await;
}

async fn until_it_is_done(process: &TestProcess, id: i64) {
    until("the task is done", async || status(process, id).await == 2).await;
}

#[tokio::test]
async fn a_worker_that_is_told_to_end_gives_its_task_back() {
    let process = TestProcess::configured("[dev]\nprogress = \"manual\"");
    let id = create(&process).await;
    let mut first = Worker::start(process.address.port());
    until_it_runs(&process, id).await;
    send_signal(&first.0, "TERM");
    let ended = ended_within(&mut first.0, Duration::from_secs(30)).await;
    assert!(ended.success(), "{ended}");
    assert_eq!(states(&process, id).await, ["released"]);
    let _second = Worker::start(process.address.port());
    until_it_is_done(&process, id).await;
    assert_eq!(states(&process, id).await, ["released", "succeeded"]);
}

#[tokio::test]
async fn what_a_killed_worker_was_at_is_done_by_another() {
    let process = TestProcess::configured("[dev]\nprogress = \"manual\"");
    let id = create(&process).await;
    let first = Worker::start(process.address.port());
    until_it_runs(&process, id).await;
    drop(first);
    let _second = Worker::start(process.address.port());
    // Its lease ends 15 s after its claim, and 10 s at least pass before a retry.
    until("the lease ends", async || status(&process, id).await == 0).await;
    until_it_is_done(&process, id).await;
    assert_eq!(states(&process, id).await, ["lost", "succeeded"]);
}

#[tokio::test]
async fn a_worker_whose_answers_are_lost_does_each_task_once() {
    let process = TestProcess::configured("[dev]\nprogress = \"manual\"");
    let proxy = Proxy::to(process.address.port()).await;
    let _worker = Worker::start(proxy.port);
    until("the worker is there", async || proxy.accepted() > 0).await;
    for _ in 0..3 {
        // Most likely it waits in a claim: what that is answered is lost.
        proxy.hold_answers_back();
        let id = create(&process).await;
        until("the task is begun", async || {
            status(&process, id).await != 0
        })
        .await;
        proxy.cut();
        until_it_is_done(&process, id).await;
        assert_eq!(states(&process, id).await, ["succeeded"]);
    }
}
