//! The one span of a request, named and told of by OpenTelemetry's conventions for
//! HTTP servers.
//!
//! Never a path, a query, a header, a body, a user or a credential: spans leave the
//! house.

use std::sync::Arc;

use http::{Request, StatusCode, Version};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, Status, TraceId, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, Span};

use super::context::RequestContext;
use super::error::ApiError;
use super::method;
use super::routes::Routes;

/// Begins spans. Cheap to clone.
#[derive(Clone)]
pub struct RequestTracer(Arc<Inner>);

struct Inner {
    tracer: SdkTracer,
    propagator: TraceContextPropagator,
    routes: Routes<&'static str>,
}

/// The span of a request. It ends when it is dropped. Boxed, for most requests have none.
pub(super) struct RequestSpan(Box<Span>);

impl RequestTracer {
    /// For requests of these paths, as templates.
    pub fn new(tracer: SdkTracer, paths: impl IntoIterator<Item = &'static str>) -> Self {
        Self(Arc::new(Inner {
            tracer,
            propagator: TraceContextPropagator::new(),
            routes: Routes::new(paths, |path| path),
        }))
    }

    /// Begins a request's span: a part of the trace that `traceparent` tells of, or
    /// else of a new one.
    pub(super) fn begin<B>(&self, request: &Request<B>, context: &RequestContext) -> RequestSpan {
        let Inner {
            tracer,
            propagator,
            routes,
        } = &*self.0;
        let headers = HeaderExtractor(request.headers());
        let parent = propagator.extract_with_context(&Context::new(), &headers);
        let route = routes.find(request.uri().path()).copied();
        let method = match method::name_of(request.method()) {
            method::OTHER => "HTTP",
            name => name,
        };
        let name = match route {
            Some(route) => format!("{method} {route}"),
            None => method.to_owned(),
        };
        let mut attributes = vec![
            KeyValue::new("http.request.method", method::name_of(request.method())),
            KeyValue::new("koodrive.trace_id", context.trace_id().as_str().to_owned()),
        ];
        attributes.extend(route.map(|route| KeyValue::new("http.route", route)));
        attributes.extend(
            version_of(request.version())
                .map(|version| KeyValue::new("network.protocol.version", version)),
        );
        let builder = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Server)
            .with_attributes(attributes);
        RequestSpan(Box::new(tracer.build_with_context(builder, &parent)))
    }
}

impl RequestSpan {
    /// The id of the trace that it is a part of.
    pub(super) fn trace_id(&self) -> TraceId {
        self.0.span_context().trace_id()
    }

    /// Ends it with an answer.
    pub(super) fn answered(mut self, status: StatusCode, error: Option<&ApiError>) {
        let number = i64::from(status.as_u16());
        self.0
            .set_attribute(KeyValue::new("http.response.status_code", number));
        // What a client has got wrong is no error of a server's.
        if status.is_server_error() {
            let kind = error.map_or("unknown", ApiError::name);
            self.0.set_attribute(KeyValue::new("error.type", kind));
            self.0.set_status(Status::error(""));
        }
    }
}

fn version_of(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        _ => None,
    }
}
