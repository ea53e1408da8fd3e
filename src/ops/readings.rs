//! The metrics that are read when they are asked for.

use std::fmt;
use std::sync::{Arc, OnceLock};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, EncodeMetric,
    LabelSetEncoder,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::build::{REVISION, VERSION};
use super::panics;
use super::readiness::Readiness;
use super::tasks::type_name;
use crate::task::health::Due;

/// The connections of a listener.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Connections {
    /// Those there are.
    pub open: usize,
    /// Those that were turned away since the start.
    pub refused: u64,
}

/// How often something was read anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reloads {
    /// What.
    pub what: &'static str,
    /// What came of it.
    pub outcome: &'static str,
    /// How often.
    pub count: u64,
}

type Reading<T> = OnceLock<Box<dyn Fn() -> T + Send + Sync>>;

/// Where the values come from. What nobody has said yet is zero.
pub(super) struct Readings {
    readiness: Arc<Readiness>,
    connections: Reading<Connections>,
    log_lines_dropped: Reading<u64>,
    reloads: Reading<Vec<Reloads>>,
    credential_expiry: Reading<Option<i64>>,
    certificate_expiry: Reading<Option<i64>>,
}

/// No labels.
struct Unlabelled;

impl EncodeLabelSet for Unlabelled {
    fn encode(&self, _: &mut LabelSetEncoder<'_>) -> fmt::Result {
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TypeLabel {
    task_type: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    what: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
    revision: &'static str,
}

fn read<T: Default>(reading: &Reading<T>) -> T {
    reading.get().map(|read| read()).unwrap_or_default()
}

impl Readings {
    pub(super) const fn new(readiness: Arc<Readiness>) -> Self {
        Self {
            readiness,
            connections: OnceLock::new(),
            log_lines_dropped: OnceLock::new(),
            reloads: OnceLock::new(),
            credential_expiry: OnceLock::new(),
            certificate_expiry: OnceLock::new(),
        }
    }

    pub(super) fn watch_connections(&self, read: impl Fn() -> Connections + Send + Sync + 'static) {
        let _ = self.connections.set(Box::new(read));
    }

    pub(super) fn watch_log(&self, dropped: impl Fn() -> u64 + Send + Sync + 'static) {
        let _ = self.log_lines_dropped.set(Box::new(dropped));
    }

    pub(super) fn watch_reloads(&self, read: impl Fn() -> Vec<Reloads> + Send + Sync + 'static) {
        let _ = self.reloads.set(Box::new(read));
    }

    pub(super) fn watch_credentials(
        &self,
        expiry: impl Fn() -> Option<i64> + Send + Sync + 'static,
    ) {
        let _ = self.credential_expiry.set(Box::new(expiry));
    }

    pub(super) fn watch_certificate(
        &self,
        expiry: impl Fn() -> Option<i64> + Send + Sync + 'static,
    ) {
        let _ = self.certificate_expiry.set(Box::new(expiry));
    }

    fn write_service(&self, to: &mut Page<'_>) -> fmt::Result {
        to.gauge(
            "kootask_ready",
            "Whether requests should be sent here, as /readyz says",
            i64::from(self.readiness.report().is_ready()),
        )?;
        let Connections { open, refused } = read(&self.connections);
        to.gauge("kootask_connections", "Connections of the listener", open)?;
        to.counter(
            "kootask_connections_refused",
            "Connections that were turned away, since there are too many",
            refused,
        )?;
        to.counter(
            "kootask_log_lines_dropped",
            "Log lines that nobody took in time",
            read(&self.log_lines_dropped),
        )?;
        to.counter("kootask_panics", "Panics, of any thread", panics::count())?;
        let reloads = read(&self.reloads).into_iter().map(|reloads| {
            let Reloads {
                what,
                outcome,
                count,
            } = reloads;
            (ReloadLabels { what, outcome }, count)
        });
        to.counters(
            "kootask_reloads",
            "Files that were read anew, by whether they are of use",
            reloads,
        )?;
        to.gauges(
            "kootask_credential_expiry_timestamp_seconds",
            "When the credential ends that ends first, in seconds since 1970",
            read(&self.credential_expiry).map(|at| (Unlabelled, at)),
        )?;
        to.gauges(
            "kootask_tls_expiry_timestamp_seconds",
            "When the listener's certificate ends, or the first of its chain, in seconds since 1970",
            read(&self.certificate_expiry).map(|at| (Unlabelled, at)),
        )?;
        let build = BuildLabels {
            version: VERSION,
            revision: REVISION,
        };
        to.gauges(
            "kootask_build_info",
            "What this program was built from",
            [(build, 1_i64)],
        )
    }

    fn write_store(&self, to: &mut Page<'_>) -> fmt::Result {
        let load = self.readiness.load();
        to.gauges(
            "kootask_store_queue_length",
            "Writes that wait for a commit",
            load.queue_length.map(|length| (Unlabelled, length)),
        )?;
        to.gauges(
            "kootask_store_queue_capacity",
            "The most writes that may wait; beyond them requests are refused",
            load.queue_capacity.map(|capacity| (Unlabelled, capacity)),
        )?;
        to.gauges(
            "kootask_store_connections",
            "Connections to the database",
            load.connections
                .map(|connections| (Unlabelled, connections)),
        )?;
        to.gauges(
            "kootask_store_lease_seconds",
            "How long the lease of the node is still sure",
            load.lease.map(|lease| (Unlabelled, lease.as_secs_f64())),
        )?;
        let due = |value: fn(&Due) -> f64| {
            load.due.iter().map(move |due| {
                let task_type = type_name(due.task_type);
                (TypeLabel { task_type }, value(due))
            })
        };
        to.gauges(
            "kootask_tasks_ready_oldest_age_seconds",
            "How long the oldest task waits that a worker could start",
            due(|due| due.oldest_age.as_secs_f64()),
        )?;
        to.gauges(
            "kootask_leases",
            "Tasks that workers hold",
            due(|due| due.leases as f64),
        )?;
        to.gauges(
            "kootask_claims_waiting",
            "Requests for work that wait for a task",
            due(|due| due.claims_waiting as f64),
        )
    }
}

impl fmt::Debug for Readings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Readings").finish_non_exhaustive()
    }
}

impl Collector for Readings {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        self.write_service(&mut page)?;
        self.write_store(&mut page)
    }
}

/// Writes metrics that are read.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn gauge(
        &mut self,
        name: &str,
        help: &str,
        value: impl EncodeGaugeValue + Copy,
    ) -> fmt::Result {
        self.gauges(name, help, [(Unlabelled, value)])
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.counters(name, help, [(Unlabelled, value)])
    }

    fn gauges<L: EncodeLabelSet, V: EncodeGaugeValue + Copy>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let values = values.into_iter();
        self.family(
            name,
            help,
            MetricType::Gauge,
            values.map(|(labels, value)| (labels, ConstGauge::new(value))),
        )
    }

    fn counters<L: EncodeLabelSet, V: EncodeCounterValue + Copy>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let values = values.into_iter();
        self.family(
            name,
            help,
            MetricType::Counter,
            values.map(|(labels, value)| (labels, ConstCounter::new(value))),
        )
    }

    /// A metric; nothing of one that has no value.
    fn family<L: EncodeLabelSet, M: EncodeMetric>(
        &mut self,
        name: &str,
        help: &str,
        metric_type: MetricType,
        metrics: impl Iterator<Item = (L, M)>,
    ) -> fmt::Result {
        let mut metrics = metrics.peekable();
        if metrics.peek().is_none() {
            return Ok(());
        }
        let mut encoder = self.0.encode_descriptor(name, help, None, metric_type)?;
        for (labels, metric) in metrics {
            metric.encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
