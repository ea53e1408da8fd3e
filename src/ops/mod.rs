//! Operating the service: whether it lives, whether it is ready, what it does,
//! and what can be called. Served by a listener of its own, which is up before the
//! store is.
//!
//! Contract: `operations.md`, "The operations listener".

mod build;
mod documentation;
mod metrics;
mod panics;
mod readiness;
mod readings;
mod requests;
mod tasks;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use utoipa::openapi::OpenApi;

pub use self::build::{REVISION, VERSION};
pub use self::documentation::documentation;
use self::metrics::Metrics;
pub use self::panics::count_panics;
use self::readiness::Readiness;
pub use self::readings::{Connections, Reloads};
use crate::task::observer::TaskObserver;
use crate::task::repository::TaskRepository;
use crate::web::observer::RequestObserver;

/// The media type of metrics: Prometheus' text format.
const PROMETHEUS: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What is known of the running service. Cheap to clone.
#[derive(Clone)]
pub struct Ops {
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
}

impl Ops {
    /// Of a service that is about to start and has these paths, as templates.
    pub fn new(paths: impl IntoIterator<Item = &'static str>) -> Self {
        let readiness = Arc::<Readiness>::default();
        let metrics = Arc::new(Metrics::new(Arc::clone(&readiness), paths));
        Self { readiness, metrics }
    }

    /// Who counts requests.
    #[must_use]
    pub fn requests(&self) -> Arc<dyn RequestObserver> {
        Arc::clone(&self.metrics.requests) as _
    }

    /// Who counts what happens to tasks.
    #[must_use]
    pub fn tasks(&self) -> Arc<dyn TaskObserver> {
        Arc::clone(&self.metrics.tasks) as _
    }

    /// The store is open: from now on its health counts.
    pub fn opened(&self, repository: &Arc<dyn TaskRepository>) {
        self.readiness.opened(repository);
    }

    /// The service takes requests.
    pub fn started(&self) {
        self.readiness.started();
    }

    /// The service is about to end: no more requests shall be sent here.
    pub fn draining(&self) {
        self.readiness.drain();
    }

    /// Has the connections of the listener shown.
    pub fn watch_connections(&self, read: impl Fn() -> Connections + Send + Sync + 'static) {
        self.metrics.readings.watch_connections(read);
    }

    /// Has the log lines shown that were dropped.
    pub fn watch_log(&self, dropped: impl Fn() -> u64 + Send + Sync + 'static) {
        self.metrics.readings.watch_log(dropped);
    }

    /// Has reloads shown.
    pub fn watch_reloads(&self, read: impl Fn() -> Vec<Reloads> + Send + Sync + 'static) {
        self.metrics.readings.watch_reloads(read);
    }

    /// Has the end of the credential shown that ends first, in seconds since 1970.
    pub fn watch_credentials(&self, expiry: impl Fn() -> Option<i64> + Send + Sync + 'static) {
        self.metrics.readings.watch_credentials(expiry);
    }

    /// Has the end of the certificate shown that ends first, in seconds since 1970.
    pub fn watch_certificate(&self, end: impl Fn() -> Option<i64> + Send + Sync + 'static) {
        self.metrics.readings.watch_certificate(end);
    }

    /// The routes of the operations listener; `openapi` tells of the calls.
    pub fn router<S: Clone + Send + Sync + 'static>(&self, openapi: &OpenApi) -> Router<S> {
        Router::new()
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .with_state(self.clone())
            .merge(documentation(openapi))
    }
}

/// Whether the process can do its work, or must be replaced.
async fn healthz(State(ops): State<Ops>) -> Response {
    let (status, text) = if ops.readiness.is_alive() {
        (StatusCode::OK, "ok\n")
    } else {
        let text = "the store's writer has ended: restart the service\n";
        (StatusCode::SERVICE_UNAVAILABLE, text)
    };
    (status, [(CONTENT_TYPE, PLAIN)], text).into_response()
}

/// Whether requests should be sent here.
async fn readyz(State(ops): State<Ops>) -> Response {
    let report = ops.readiness.report();
    let status = if report.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, [(CONTENT_TYPE, JSON)], report.json()).into_response()
}

async fn metrics(State(ops): State<Ops>) -> Response {
    match ops.metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, PROMETHEUS)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
