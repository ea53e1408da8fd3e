//! The page `/kootask/dev/`: a tenant's tasks and requests as they happen, with
//! buttons for what the calls do. Whole without its script.
//!
//! Contract: `stand-in.md`, "The page".

mod act;
mod content;
mod fragments;
mod snippets;
mod templates;
mod view;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, StatusCode};
use maud::Markup;

use self::view::View;
use super::StandIn;
use super::answer::Refused;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const STYLE: HeaderValue = HeaderValue::from_static("text/css; charset=utf-8");
const SCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
             form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    // Without a referrer a form would come from the origin "null".
    (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
];

/// The routes of the page.
pub(super) fn routes() -> Router<StandIn> {
    let file = |media_type, text: &'static str| get(async move || answer(media_type, text));
    let style = file(STYLE, include_str!("page.css"));
    let script = file(SCRIPT, include_str!("page.js"));
    Router::new()
        .route("/kootask/dev", get(async || Redirect::permanent("dev/")))
        .route("/kootask/dev/", get(show).post(act::act))
        .route("/kootask/dev/fragments", get(fragments::fragments))
        .route("/kootask/dev/page.css", style)
        .route("/kootask/dev/page.js", script)
}

/// The page as its URL says.
async fn show(State(stand_in): State<StandIn>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    page(&stand_in, &parts, None).await
}

/// The page and, if something could not be done, why.
async fn page(stand_in: &StandIn, parts: &Parts, refused: Option<Refused>) -> Response {
    let content = match View::of(parts) {
        Ok(view) => stand_in.content(view, base(stand_in, parts)).await,
        Err(refused) => Err(refused),
    };
    match (content, refused) {
        (Ok(content), None) => html(StatusCode::OK, templates::page(&content, None)),
        (Ok(content), Some(refused)) => {
            let page = templates::page(&content, Some(refused.text()));
            html(refused.status(), page)
        }
        (Err(refused), _) => html(refused.status(), templates::problem(refused.text())),
    }
}

/// Where the stand-in is, as the browser calls it: its URL without a path.
fn base(stand_in: &StandIn, parts: &Parts) -> String {
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let host = host.or(authority).unwrap_or_default();
    format!("{}://{host}", stand_in.0.settings.scheme)
}

fn html(status: StatusCode, page: Markup) -> Response {
    (status, answer(HTML, page.into_string())).into_response()
}

fn answer(media_type: HeaderValue, body: impl Into<Body>) -> Response {
    ([(CONTENT_TYPE, media_type)], HEADERS, body.into()).into_response()
}
