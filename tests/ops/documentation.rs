//! `/openapi.json` and `/docs`.

use serde_json::Value;

use super::{Watched, get, serve};
use crate::support::process::{TestProcess, kootask};

#[tokio::test]
async fn the_document_is_the_one_that_the_program_prints() {
    let service = Watched::start(serve());
    let answer = service.get("/openapi.json").await;
    assert_eq!(answer.media_type, "application/json");
    let printed = kootask().arg("openapi").output().unwrap().stdout;
    let printed: Value = serde_json::from_slice(&printed).unwrap();
    assert_eq!(answer.json(), printed);
}

#[tokio::test]
async fn the_viewer_is_whole_and_fetches_nothing_from_outside() {
    let service = Watched::start(serve());
    // Led there without the last slash.
    let page = service.get("/docs").await;
    assert_eq!(page.status, 200);
    assert!(
        page.media_type.starts_with("text/html"),
        "{}",
        page.media_type
    );
    let mut files = Vec::new();
    for attribute in ["src=\"", "href=\""] {
        files.extend(page.text.split(attribute).skip(1));
    }
    assert!(files.len() >= 4, "{}", page.text);
    for file in files {
        let file = file.split('"').next().unwrap();
        let file = file.strip_prefix("./").unwrap_or(file);
        assert!(!file.contains(':') && !file.starts_with('/'), "{file}");
        let answer = service.get(&format!("/docs/{file}")).await;
        assert_eq!(answer.status, 200, "{file}");
    }
    let start = service.get("/docs/swagger-initializer.js").await.text;
    assert!(start.contains("../openapi.json"), "{start}");
    assert_eq!(service.get("/docs/none.js").await.status, 404);
}

#[tokio::test]
async fn the_stand_in_shows_it_beside_its_calls_and_the_service_does_not() {
    let stand_in = TestProcess::dev("memory:");
    for path in ["/docs/", "/openapi.json"] {
        assert_eq!(get(stand_in.address, path).await.unwrap().status, 200);
    }
    let service = Watched::start(serve());
    let address = service.address().await;
    for path in ["/docs/", "/openapi.json", "/metrics", "/healthz"] {
        let answer = get(address, path).await.unwrap();
        assert_eq!(answer.status, 404, "{path}");
    }
}
