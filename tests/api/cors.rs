//! Pages of other origins, in the service itself.

use kootask::api::CREATE;
use kootask::config::Defaults;
use reqwest::Method;
use reqwest::header::HeaderMap;

use crate::support::TestApp;
use crate::support::client::TRANSFER;
use crate::support::credentials::token;

const ORIGIN: &str = "https://console.example.com";
const TOKEN: &str = "a-token";

async fn serve(origins: &str) -> TestApp {
    let config = format!("[server]\ncors_origins = [{origins}]\n");
    let config = config + &token(TOKEN, "acme");
    TestApp::start(&config, Defaults::Serve).await
}

fn allowed(headers: &HeaderMap) -> Option<&str> {
    let allowed = headers.get("Access-Control-Allow-Origin")?;
    Some(allowed.to_str().unwrap())
}

/// The status and headers of a preflight for a create call.
async fn preflight(app: &TestApp, origin: &str) -> (u16, HeaderMap) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}{CREATE}", app.address);
    let answer = client
        .request(Method::OPTIONS, url)
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "authorization,x-date")
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.headers().clone())
}

#[tokio::test]
async fn pages_of_listed_origins_may_call_and_read_errors_too() {
    let app = serve(&format!("\"{ORIGIN}\"")).await;
    let from = |origin: &str| app.create(TRANSFER).header("Origin", origin);
    for (call, status) in [
        (from(ORIGIN).bearer(TOKEN), 200),
        (from(ORIGIN), 401),
        (from(ORIGIN).bearer(TOKEN).body("{"), 400),
        (app.call("GET", "/nowhere").header("Origin", ORIGIN), 404),
    ] {
        let answer = call.send().await;
        assert_eq!(answer.status, status);
        assert_eq!(allowed(&answer.headers), Some(ORIGIN));
        let exposed = answer
            .header("Access-Control-Expose-Headers")
            .to_lowercase();
        for name in ["x-traceid", "retry-after", "idempotency-replayed"] {
            assert!(exposed.contains(name), "{exposed}");
        }
    }
    for stranger in [
        "https://example.com",
        "http://console.example.com",
        "https://console.example.com:8443",
        "http://localhost:5173",
        "null",
    ] {
        let answer = from(stranger).bearer(TOKEN).send().await;
        assert_eq!(answer.status, 200);
        assert_eq!(allowed(&answer.headers), None, "{stranger}");
    }
}

#[tokio::test]
async fn a_preflight_is_answered_without_a_credential_for_the_headers_that_calls_need() {
    let app = serve(&format!("\"https://other.example\", \"{ORIGIN}\"")).await;
    let (status, headers) = preflight(&app, ORIGIN).await;
    assert_eq!((status, allowed(&headers)), (200, Some(ORIGIN)));
    let value = |name: &str| headers[name].to_str().unwrap().to_lowercase();
    let (methods, names) = (
        value("Access-Control-Allow-Methods"),
        value("Access-Control-Allow-Headers"),
    );
    for method in ["get", "post"] {
        assert!(methods.contains(method), "{methods}");
    }
    for name in [
        "authorization",
        "content-type",
        "x-date",
        "x-user-id",
        "idempotency-key",
        "language",
        "x-traceid",
    ] {
        assert!(names.contains(name), "{names}");
    }
    let (_, headers) = preflight(&app, "https://example.com").await;
    assert_eq!(allowed(&headers), None);
}

#[tokio::test]
async fn without_listed_origins_no_page_may_call() {
    let app = serve("").await;
    let answer = app.create(TRANSFER).bearer(TOKEN).header("Origin", ORIGIN);
    let answer = answer.send().await;
    assert_eq!(
        (answer.status.as_u16(), allowed(&answer.headers)),
        (200, None)
    );
    let (status, headers) = preflight(&app, ORIGIN).await;
    assert_eq!((status, allowed(&headers)), (405, None));
}

#[tokio::test]
async fn the_stand_in_lets_listed_origins_in_beside_those_of_this_machine() {
    let config = format!("[server]\ncors_origins = [\"{ORIGIN}\"]\n");
    let app = TestApp::start(&config, Defaults::Dev).await;
    for (origin, is_allowed) in [
        (ORIGIN, true),
        ("http://localhost:5173", true),
        ("https://example.com", false),
    ] {
        let (_, headers) = preflight(&app, origin).await;
        assert_eq!(allowed(&headers).is_some(), is_allowed, "{origin}");
    }
}
