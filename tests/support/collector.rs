//! A collector of spans: OTLP over HTTP, in protobuf.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;

use super::until;

/// A span, as it arrived.
#[derive(Debug, Clone)]
pub struct Collected {
    pub name: String,
    pub trace_id: String,
    pub parent_span_id: String,
    /// As the protocol numbers it: 2 is a server's.
    pub kind: i32,
    /// As the protocol numbers it: 2 is an error.
    pub status: i32,
    pub attributes: BTreeMap<String, String>,
    /// Of the program.
    pub resource: BTreeMap<String, String>,
}

/// Keeps what it is sent.
pub struct Collector {
    pub address: SocketAddr,
    spans: Spans,
}

type Spans = Arc<Mutex<Vec<Collected>>>;

impl Collector {
    /// On a port of its own.
    pub async fn start() -> Self {
        let spans = Spans::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/v1/traces", post(collect))
            .with_state(Arc::clone(&spans));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, spans }
    }

    /// As `OTEL_EXPORTER_OTLP_ENDPOINT` names it.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All spans, once there are so many.
    pub async fn spans(&self, count: usize) -> Vec<Collected> {
        until("the spans arrive", async || {
            self.spans.lock().unwrap().len() >= count
        })
        .await;
        self.spans.lock().unwrap().clone()
    }
}

async fn collect(State(spans): State<Spans>, body: Bytes) {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    for of_resource in request.resource_spans {
        let resource = texts(of_resource.resource.unwrap_or_default().attributes);
        let scopes = of_resource.scope_spans.into_iter();
        for span in scopes.flat_map(|scope| scope.spans) {
            assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
            spans.lock().unwrap().push(Collected {
                name: span.name,
                trace_id: hex::encode(span.trace_id),
                parent_span_id: hex::encode(span.parent_span_id),
                kind: span.kind,
                status: span.status.unwrap_or_default().code,
                attributes: texts(span.attributes),
                resource: resource.clone(),
            });
        }
    }
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |attribute: KeyValue| {
        let value = match attribute.value.and_then(|value| value.value) {
            Some(Value::StringValue(text)) => text,
            Some(Value::IntValue(number)) => number.to_string(),
            other => format!("{other:?}"),
        };
        (attribute.key, value)
    };
    attributes.into_iter().map(text).collect()
}
