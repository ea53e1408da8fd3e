//! The one log line of a request.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use http::{Method, Request, StatusCode, Uri};
use tokio::time::Instant;

use super::context::RequestContext;
use crate::error::ApiError;

/// Logs the request when it is answered, or that its client left before.
///
/// Never a query, a header or a body: they can hold credentials.
pub(super) struct RequestLog {
    context: Arc<RequestContext>,
    method: Method,
    uri: Uri,
    started: Instant,
    finished: bool,
}

impl RequestLog {
    pub(super) fn begin<B>(
        request: &Request<B>,
        context: Arc<RequestContext>,
        started: Instant,
    ) -> Self {
        Self {
            context,
            method: request.method().clone(),
            uri: request.uri().clone(),
            started,
            finished: false,
        }
    }

    /// Writes the line of an answered request.
    pub(super) fn finish(mut self, status: StatusCode, error: Option<&ApiError>) {
        self.finished = true;
        let code = error.map_or(0, ApiError::code);
        match error {
            None => tracing::info!(
                trace_id = self.context.trace_id().as_str(),
                user = self.user(),
                tenant = self.tenant(),
                method = self.method.as_str(),
                path = self.uri.path(),
                status = status.as_u16(),
                code,
                duration_ms = self.duration_ms(),
                "request"
            ),
            Some(error) if status.is_server_error() => tracing::error!(
                trace_id = self.context.trace_id().as_str(),
                user = self.user(),
                tenant = self.tenant(),
                method = self.method.as_str(),
                path = self.uri.path(),
                status = status.as_u16(),
                code,
                duration_ms = self.duration_ms(),
                error = %WithCauses(error),
                "request"
            ),
            Some(error) => tracing::info!(
                trace_id = self.context.trace_id().as_str(),
                user = self.user(),
                tenant = self.tenant(),
                method = self.method.as_str(),
                path = self.uri.path(),
                status = status.as_u16(),
                code,
                duration_ms = self.duration_ms(),
                error = %error,
                "request"
            ),
        }
    }

    fn user(&self) -> Option<&str> {
        self.context.user_id().map(|user| user.as_str())
    }

    fn tenant(&self) -> Option<&str> {
        self.context.tenant_id().map(|tenant| tenant.as_str())
    }

    /// Milliseconds, to the microsecond.
    fn duration_ms(&self) -> f64 {
        self.started.elapsed().as_micros() as f64 / 1e3
    }
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        if !self.finished {
            tracing::info!(
                trace_id = self.context.trace_id().as_str(),
                user = self.user(),
                tenant = self.tenant(),
                method = self.method.as_str(),
                path = self.uri.path(),
                duration_ms = self.duration_ms(),
                "the client left before its answer"
            );
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
