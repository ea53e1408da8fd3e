//! `/healthz`, and that the operations listener says nothing else.

use std::sync::Arc;
use std::time::Duration;

use kootask::app::openapi;
use kootask::ops::Ops;
use kootask::server::OpsServer;
use kootask::shutdown::Background;
use kootask::store::{self, StoreContext};
use kootask::task::observer::{CreateOutcome, TaskObserver};
use kootask::task::{TaskStatus, TaskType};

use super::{Watched, get, serve};
use crate::store::{MovedClock, create, transfer};
use crate::support::until;

#[tokio::test]
async fn its_requests_are_not_logged_and_unknown_paths_are_404() {
    let service = Watched::start(serve());
    service.address().await;
    for (path, status) in [
        ("/healthz", 200),
        ("/readyz", 200),
        ("/metrics", 200),
        ("/koodrive/ose/v1/task/list", 404),
        ("/", 404),
    ] {
        assert_eq!(service.get(path).await.status, status, "{path}");
    }
    // One that is logged, after them.
    service.create().await;
    let line = service.line("request").await;
    assert_eq!(line["path"], kootask::api::CREATE);
}

/// Its first commit is its writer's last.
struct Fatal;

impl TaskObserver for Fatal {
    fn created(&self, _: TaskType, _: CreateOutcome) {}
    fn moved(&self, _: TaskType, _: TaskStatus) {}
    fn committed(&self, _: usize, _: Duration) {
        panic!("a fault of the writer");
    }
    fn commit_failed(&self) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_not_well_once_the_writer_of_the_store_has_ended_by_itself() {
    let background = Background::default();
    let ops = Ops::new([]);
    let server = OpsServer::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = server.address().unwrap();
    let serving = server.run(ops.clone(), openapi(), background.token().cancelled_owned());
    let serving = tokio::spawn(serving);
    let folder = tempfile::tempdir().unwrap();
    let context = StoreContext {
        observer: Arc::new(Fatal),
        ..MovedClock::new().context(1)
    };
    let url = format!("sqlite://{}/kootask.db", folder.path().display());
    let repository = store::open(&url.parse().unwrap(), context).await.unwrap();
    ops.opened(&repository);
    let health = async || get(address, "/healthz").await.unwrap();
    assert_eq!(health().await.status, 200);
    let created = create(&repository, transfer("source"), None).await;
    assert!(created.is_err(), "{created:?}");
    until("the end of the writer is told", async || {
        health().await.status == 503
    })
    .await;
    let said = health().await.text;
    assert!(said.contains("restart the service"), "{said}");
    let ready = get(address, "/readyz").await.unwrap();
    assert_eq!(ready.json()["checks"]["store"], "the writer has ended");
    background.stop().await;
    serving.await.unwrap();
}

#[test]
fn an_address_in_use_ends_the_start_and_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let outcome = crate::cli::outcome(serve().env("KOOTASK__SERVER__OPS_LISTEN", &address));
    assert_eq!(outcome.code, Some(1));
    let said = format!("cannot listen on {address}, server.ops_listen");
    assert!(outcome.err.contains(&said), "{}", outcome.err);
}
