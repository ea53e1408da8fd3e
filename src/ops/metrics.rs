//! The metrics, and how they are written. Names, labels and buckets are the
//! contract's (`operations.md`); `docs/operating.md` explains them.
//!
//! What happens often is counted as it happens, by handles that are made
//! beforehand ([`super::requests`], [`super::tasks`]). What can be asked for is read when
//! the metrics are ([`super::readings`]).

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;

use super::readiness::Readiness;
use super::readings::Readings;
use super::requests::RequestMetrics;
use super::tasks::TaskMetrics;

pub(super) struct Metrics {
    registry: Registry,
    pub(super) requests: Arc<RequestMetrics>,
    pub(super) tasks: Arc<TaskMetrics>,
    pub(super) readings: Arc<Readings>,
}

impl Metrics {
    pub(super) fn new(
        readiness: Arc<Readiness>,
        paths: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        let mut registry = Registry::default();
        let requests = Arc::new(RequestMetrics::register(&mut registry, paths));
        let tasks = Arc::new(TaskMetrics::register(&mut registry));
        let readings = Arc::new(Readings::new(readiness));
        registry.register_collector(Box::new(Arc::clone(&readings)));
        Self {
            registry,
            requests,
            tasks,
            readings,
        }
    }

    /// All of them, in Prometheus' text format.
    pub(super) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
