//! The one log line of a request, and with it the end of its span.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;
use std::sync::Arc;

use http::{Method, Request, StatusCode, Uri};
use opentelemetry::trace::TraceId;
use tokio::time::Instant;
use tracing::field::{DisplayValue, display};

use super::context::RequestContext;
use super::error::ApiError;
use super::observer::{Answered, RequestObserver};
use super::request_span::RequestSpan;

/// Logs the request when it is answered, and has it counted; or logs that its
/// client left before.
///
/// Never a query, a header or a body: they can hold credentials.
pub(super) struct RequestLog {
    context: Arc<RequestContext>,
    /// Whom a proxy has the request from.
    forwarded: Option<IpAddr>,
    observer: Option<Arc<dyn RequestObserver>>,
    span: Option<RequestSpan>,
    method: Method,
    uri: Uri,
    started: Instant,
    finished: bool,
}

/// Logs an event with the fields that every line of a request has.
macro_rules! line {
    ($log:expr, $level:ident, $($fields:tt)+) => {
        tracing::event!(
            target: "kootask::request",
            tracing::Level::$level,
            trace_id = $log.context.trace_id().as_str(),
            otel_trace_id = $log.otel_trace_id(),
            peer = $log.peer().as_deref(),
            user = $log.context.user_id(),
            tenant = $log.context.tenant_id(),
            credential = $log.context.credential(),
            task_id = $log.context.task_id(),
            method = $log.method.as_str(),
            path = $log.uri.path(),
            duration_ms = $log.duration_ms(),
            $($fields)+
        )
    };
}

impl RequestLog {
    pub(super) fn begin<B>(
        request: &Request<B>,
        context: Arc<RequestContext>,
        forwarded: Option<IpAddr>,
        observer: Option<Arc<dyn RequestObserver>>,
        span: Option<RequestSpan>,
        started: Instant,
    ) -> Self {
        Self {
            context,
            forwarded,
            observer,
            span,
            method: request.method().clone(),
            uri: request.uri().clone(),
            started,
            finished: false,
        }
    }

    /// Writes the line of an answered request.
    pub(super) fn finish(mut self, status: StatusCode, error: Option<&ApiError>) {
        self.finished = true;
        if let Some(observer) = &self.observer {
            observer.answered(&Answered {
                method: &self.method,
                path: self.uri.path(),
                status,
                error,
                took: self.started.elapsed(),
            });
        }
        let (status_number, code) = (status.as_u16(), error.map_or(0, ApiError::code));
        match error {
            None => line!(self, INFO, status = status_number, code, "request"),
            Some(error) if status.is_server_error() => {
                let error = WithCauses(error);
                line!(self, ERROR, status = status_number, code, %error, "request");
            }
            Some(error) => line!(self, INFO, status = status_number, code, %error, "request"),
        }
        if let Some(span) = self.span.take() {
            span.answered(status, error);
        }
    }

    /// The trace that the request's span is a part of, if it has one: another thing
    /// than KooDrive's trace id.
    fn otel_trace_id(&self) -> Option<DisplayValue<TraceId>> {
        self.span.as_ref().map(|span| display(span.trace_id()))
    }

    /// Who has sent it, as far as it is known.
    fn peer(&self) -> Option<Cow<'_, str>> {
        match self.forwarded {
            Some(address) => Some(Cow::Owned(address.to_string())),
            None => self.context.peer().map(|peer| Cow::Borrowed(&*peer.name)),
        }
    }

    /// Milliseconds, to the microsecond.
    fn duration_ms(&self) -> f64 {
        self.started.elapsed().as_micros() as f64 / 1e3
    }
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        if !self.finished {
            line!(self, INFO, "the client left before its answer");
        }
    }
}

/// An error with the chain of its causes.
struct WithCauses<'a>(&'a dyn Error);

impl Display for WithCauses<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self.0, formatter)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(formatter, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
