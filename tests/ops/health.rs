//! `/healthz`, and that the operations listener says nothing else.

use super::{Watched, serve};

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

#[test]
fn an_address_in_use_ends_the_start_and_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let outcome = crate::cli::outcome(serve().env("KOOTASK__SERVER__OPS_LISTEN", &address));
    assert_eq!(outcome.code, Some(1));
    let said = format!("cannot listen on {address}, server.ops_listen");
    assert!(outcome.err.contains(&said), "{}", outcome.err);
}
