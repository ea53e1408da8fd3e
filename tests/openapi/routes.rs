//! The document's paths and methods are the service's.

use std::collections::BTreeSet;

use kootask::api::{CREATE, DETAIL, LIST, RECIPIENT, RESULT};
use kootask::{tenant, worker};

use super::{document, operations};
use crate::support::TestApp;

#[test]
fn every_call_is_documented() {
    let document = document();
    let documented: BTreeSet<_> = operations(&document)
        .into_keys()
        .map(|(path, _)| path)
        .collect();
    let routes = [
        CREATE,
        LIST,
        DETAIL,
        RESULT,
        RECIPIENT,
        tenant::CANCEL,
        tenant::RETRY,
        tenant::ATTEMPTS,
        tenant::FAILURES,
        worker::CLAIM,
        worker::HEARTBEAT,
        worker::COMPLETE,
        worker::FAIL,
        worker::RELEASE,
        worker::FAILURES,
    ];
    assert_eq!(documented, routes.map(str::to_owned).into());
}

#[tokio::test]
async fn the_methods_are_those_that_the_service_allows() {
    let app = TestApp::dev().await;
    for ((path, method), _) in operations(&document()) {
        let answer = app.call("BREW", &path.replace(['{', '}'], "")).send().await;
        assert_eq!(answer.status, 405, "{path}");
        let allowed: BTreeSet<_> = answer.header("Allow").split(',').collect();
        let expected = match method.as_str() {
            // Whoever may GET may HEAD.
            "GET" => BTreeSet::from(["GET", "HEAD"]),
            other => BTreeSet::from([other]),
        };
        assert_eq!(allowed, expected, "{path}");
    }
    app.stop().await;
}
