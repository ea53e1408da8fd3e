//! The export of spans, by OTLP over HTTP, as OpenTelemetry's own environment variables
//! say: `OTEL_EXPORTER_OTLP_ENDPOINT` turns it on.
//!
//! Contract: `operations.md`, "Traces".

mod client;

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::{
    ExporterBuildError, OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL,
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_PROTOCOL, Protocol, SpanExporter,
    WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use self::client::CollectorClient;

/// Turns everything off, where it is "true" in any case.
const OTEL_SDK_DISABLED: &str = "OTEL_SDK_DISABLED";
/// Where traces go: "otlp", which is also what is meant where it is not said, or
/// "none".
const OTEL_TRACES_EXPORTER: &str = "OTEL_TRACES_EXPORTER";
/// The one protocol that is spoken.
const PROTOCOL: &str = "http/protobuf";
const NAME: &str = "kootask";

/// Spans on their way to a collector. A thread of its own sends what a bounded queue
/// holds; of what finds no room there nothing is kept.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
}

/// Why spans cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// Another protocol is asked for.
    #[error("{0} asks for a protocol that is not spoken; {PROTOCOL} is")]
    Protocol(&'static str),
    /// They shall go elsewhere than to a collector.
    #[error("{OTEL_TRACES_EXPORTER} is neither otlp nor none")]
    Elsewhere,
    /// The variables make no sense.
    #[error("OTEL_EXPORTER_OTLP_…: {0}")]
    Exporter(#[from] ExporterBuildError),
}

impl Traces {
    /// Starts to export, if the environment names a collector and does not turn
    /// OpenTelemetry off.
    ///
    /// # Errors
    ///
    /// [`TracesError`] when a variable makes no sense.
    pub fn from_environment(version: &'static str) -> Result<Option<Self>, TracesError> {
        let endpoints = [
            OTEL_EXPORTER_OTLP_ENDPOINT,
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
        ];
        if !endpoints.iter().any(|name| variable(name).is_some()) || is_disabled() {
            return Ok(None);
        }
        match variable(OTEL_TRACES_EXPORTER).as_deref() {
            None | Some("otlp") => {}
            Some("none") => return Ok(None),
            Some(_) => return Err(TracesError::Elsewhere),
        }
        let protocols = [
            OTEL_EXPORTER_OTLP_TRACES_PROTOCOL,
            OTEL_EXPORTER_OTLP_PROTOCOL,
        ];
        if let Some(name) = protocols.into_iter().find(|name| variable(name).is_some())
            && variable(name).as_deref() != Some(PROTOCOL)
        {
            return Err(TracesError::Protocol(name));
        }
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_http_client(CollectorClient::new())
            .build()?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource(version))
            .with_batch_exporter(exporter)
            .build();
        Ok(Some(Self { provider }))
    }

    /// Who makes spans.
    #[must_use]
    pub fn tracer(&self) -> SdkTracer {
        self.provider.tracer(NAME)
    }

    /// Sends what is left, and waits for that no longer than `limit`. Blocks.
    pub fn end(&self, limit: Duration) {
        if let Err(error) = self.provider.shutdown_with_timeout(limit) {
            tracing::warn!(%error, "the last spans are lost");
        }
    }
}

/// What the environment says, if it says anything.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether the environment turns OpenTelemetry off. Its specification has all that is
/// not "true" count as false.
fn is_disabled() -> bool {
    let Some(value) = variable(OTEL_SDK_DISABLED) else {
        return false;
    };
    let is_disabled = value.eq_ignore_ascii_case("true");
    if !is_disabled && !value.eq_ignore_ascii_case("false") {
        tracing::warn!("{OTEL_SDK_DISABLED} is neither true nor false, and counts as false");
    }
    is_disabled
}

/// Who the spans are of: as the environment says, or else by the program's name.
fn resource(version: &'static str) -> Resource {
    let version = KeyValue::new("service.version", version);
    let told = Resource::builder().build();
    let name = told.get(&Key::from_static_str("service.name"));
    let is_told = name.is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let resource = Resource::builder().with_attribute(version);
    if is_told {
        resource.build()
    } else {
        resource.with_service_name(NAME).build()
    }
}
