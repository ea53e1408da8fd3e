//! The metrics of requests.

use std::array;
use std::sync::OnceLock;

use http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::web::method;
use crate::web::observer::{Answered, RequestObserver};
use crate::web::routes::Routes;

/// 0.5 ms to 10 s, in seconds.
const BUCKETS: [f64; 14] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// The methods whose handles are prepared.
const METHODS: [Method; 9] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::PATCH,
    Method::HEAD,
    Method::OPTIONS,
    Method::CONNECT,
    Method::TRACE,
];
/// The route of a path that no call has.
const UNMATCHED: &str = "unmatched";
/// The statuses whose handles are prepared.
const STATUSES: [u16; 8] = [200, 400, 401, 403, 404, 422, 429, 503];

/// The metrics of requests. A client chooses none of the labels' values: it can
/// add no series beyond those of the routes.
pub(super) struct RequestMetrics {
    durations: Family<RequestLabels, Histogram, fn() -> Histogram>,
    refused: Family<ReasonLabel, Counter>,
    routes: Routes<Route>,
    unmatched: Route,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    http_request_method: &'static str,
    http_route: &'static str,
    http_response_status_code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

/// A route, and its handles by method and status.
struct Route {
    template: &'static str,
    prepared: [[OnceLock<Histogram>; STATUSES.len()]; METHODS.len()],
}

impl Route {
    fn new(template: &'static str) -> Self {
        Self {
            template,
            prepared: array::from_fn(|_| array::from_fn(|_| OnceLock::new())),
        }
    }
}

impl RequestMetrics {
    /// For these paths, as templates.
    pub(super) fn register(
        registry: &mut Registry,
        paths: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        let durations: Family<_, _, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(BUCKETS));
        registry.register(
            "http_server_request_duration_seconds",
            "How long requests took, from their head to the head of their answer",
            durations.clone(),
        );
        let refused = Family::<ReasonLabel, Counter>::default();
        registry.register(
            "kootask_requests_refused",
            "Requests that were answered with an error, by its kind",
            refused.clone(),
        );
        Self {
            durations,
            refused,
            routes: Routes::new(paths, Route::new),
            unmatched: Route::new(UNMATCHED),
        }
    }

    /// Counts a request that took so many seconds.
    fn observe(&self, method: &Method, path: &str, status: StatusCode, took: f64) {
        let route = self.routes.find(path).unwrap_or(&self.unmatched);
        let known = METHODS.iter().position(|known| known == method);
        let make = || {
            self.durations.get_or_create_owned(&RequestLabels {
                http_request_method: method::name_of(method),
                http_route: route.template,
                http_response_status_code: status.as_u16(),
            })
        };
        let prepared = known.and_then(|known| {
            let number = STATUSES.iter().position(|number| status == *number)?;
            route.prepared.get(known)?.get(number)
        });
        // Not a clone of the prepared one: all cores would count it up and down.
        match prepared {
            Some(prepared) => prepared.get_or_init(make).observe(took),
            None => make().observe(took),
        }
    }
}

impl RequestObserver for RequestMetrics {
    fn answered(&self, answered: &Answered<'_>) {
        let took = answered.took.as_secs_f64();
        self.observe(answered.method, answered.path, answered.status, took);
        if let Some(error) = answered.error {
            let reason = error.name();
            self.refused.get_or_create(&ReasonLabel { reason }).inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus_client::encoding::prometheus_text;

    use super::*;

    fn series(ask: impl Fn(&RequestMetrics)) -> Vec<String> {
        let mut registry = Registry::default();
        let metrics = RequestMetrics::register(&mut registry, ["/task/{id}", "/task/list"]);
        ask(&metrics);
        let mut text = String::new();
        prometheus_text::encode(&mut text, &registry).unwrap();
        let lines = text.lines().filter(|line| line.contains("_count{"));
        let mut lines: Vec<_> = lines.map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    }

    fn answered(metrics: &RequestMetrics, method: &str, path: &str, status: u16) {
        metrics.answered(&Answered {
            method: &method.parse().unwrap(),
            path,
            status: StatusCode::from_u16(status).unwrap(),
            error: None,
            took: Duration::from_millis(3),
        });
    }

    #[test]
    fn a_request_counts_for_its_route_and_not_for_its_path() {
        let found = series(|metrics| {
            for id in 0..100 {
                answered(metrics, "GET", &format!("/task/{id}"), 200);
                answered(metrics, "GET", &format!("/{id}.php"), 404);
                answered(metrics, &format!("X{id}"), "/task/list", 405);
            }
        });
        let labels = |method, route, status| {
            format!(
                "http_server_request_duration_seconds_count{{http_request_method=\"{method}\",\
                 http_route=\"{route}\",http_response_status_code=\"{status}\"}} 100"
            )
        };
        assert_eq!(
            found,
            [
                labels("GET", "/task/{id}", 200),
                labels("GET", "unmatched", 404),
                labels("_OTHER", "/task/list", 405),
            ]
        );
    }

    #[test]
    fn each_method_has_its_own_name() {
        for method in METHODS {
            assert_eq!(method::name_of(&method), method.as_str());
        }
    }
}
