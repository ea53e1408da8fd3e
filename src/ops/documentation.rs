//! The document of the calls, and a viewer for it that fetches nothing from
//! outside.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

use super::JSON;

/// Nothing but what comes from here.
const OWN: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:",
);

/// The routes `/openapi.json` and `/docs`.
pub fn documentation<S: Clone + Send + Sync + 'static>(openapi: &OpenApi) -> Router<S> {
    // A document that was built in code does not fail to be written.
    let document = Bytes::from(serde_json::to_vec(openapi).unwrap_or_default());
    // As seen from the viewer, whatever a proxy calls it.
    let viewer = Arc::new(Config::from("../openapi.json"));
    let index = Arc::clone(&viewer);
    Router::new()
        .route(
            "/openapi.json",
            get(async || ([(CONTENT_TYPE, JSON)], document)),
        )
        .route("/docs", get(async || Redirect::permanent("docs/")))
        .route("/docs/", get(async move || file("", index)))
        .route(
            "/docs/{*file}",
            get(async move |Path(path): Path<String>| file(&path, viewer)),
        )
}

/// A file of the viewer.
fn file(path: &str, viewer: Arc<Config<'static>>) -> Response {
    match utoipa_swagger_ui::serve(path, viewer) {
        Ok(Some(file)) => {
            let Ok(media_type) = HeaderValue::from_str(&file.content_type) else {
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            };
            let headers = [(CONTENT_TYPE, media_type), (CONTENT_SECURITY_POLICY, OWN)];
            (headers, file.bytes.into_owned()).into_response()
        }
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            tracing::error!(%error, "the viewer of the document cannot be shown");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
