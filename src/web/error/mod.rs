//! What can go wrong on the wire. `table` has for each case the HTTP status,
//! KooDrive's code and the message in each language; `reason` what is told of a
//! field.
//!
//! Inner layers return their own error types; they become an [`ApiError`] where
//! they reach HTTP, and [`crate::web::envelope`] writes it out, the only place
//! that does. Causes are logged there and never sent.
//!
//! Contract: `api.md`, "Errors".

mod reason;
mod table;
mod violation;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};

pub use self::reason::{Reason, X_DATE_FORM};
pub use self::violation::{Violation, Violations};

/// How long a client is asked to wait before it tries again (`Retry-After`).
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What went wrong inside, for the log alone.
pub type Cause = Arc<dyn StdError + Send + Sync>;

/// An error as a client sees it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ApiError {
    /// Headers, query or body carry missing or invalid parameters; every
    /// violation is listed.
    #[error("invalid parameters: {0}")]
    InvalidParameters(Violations),
    /// The request is not well-formed: not JSON, not an object, no `Host`.
    #[error("malformed request: {0}")]
    Malformed(Malformed),
    /// No credential, or none that is good. The variant's text is for the log;
    /// the client is never told which part was wrong.
    #[error("unauthenticated: {0}")]
    Unauthenticated(Cow<'static, str>),
    /// `X-Date` is too old or in the future: the one reason of a 401 that the
    /// client is told.
    #[error("unauthenticated: {0}")]
    DateOutsideWindow(Violations),
    /// The credential is good but may not act as this user.
    #[error("the credential is bound to another user")]
    Forbidden,
    /// No such path.
    #[error("no such path")]
    RouteNotFound,
    /// No such task for this tenant.
    #[error("no such task")]
    TaskNotFound,
    /// The path exists, the method does not.
    #[error("method not allowed")]
    MethodNotAllowed,
    /// The client took too long to send its request.
    #[error("the request did not arrive in time")]
    RequestTimeout,
    /// The body is larger than the configured limit.
    #[error("the body is too large")]
    BodyTooLarge,
    /// The body is declared as something other than JSON.
    #[error("unsupported media type")]
    UnsupportedMediaType,
    /// The body is declared as compressed or otherwise encoded.
    #[error("unsupported content encoding")]
    UnsupportedEncoding,
    /// The idempotency key was used before, with another body.
    #[error("idempotency key reused with another body")]
    IdempotencyMismatch,
    /// A worker's report that changes nothing. One field tells why.
    #[error("a report of a worker that changes nothing: {0}")]
    ReportRefused(Violations),
    /// The task is in a state that does not allow it.
    #[error("the task is in a state that does not allow it: {0}")]
    NotInThisState(TaskState),
    /// The credential holds as many leases as it may.
    #[error("the credential holds too many leases")]
    TooManyLeases,
    /// The credential makes more requests than it may, and must wait this long.
    #[error("the credential makes more requests than limits.requests_per_second")]
    TooManyRequests(Duration),
    /// Our fault.
    #[error("internal error: {0}")]
    Internal(Cause),
    /// Overload, or the storage is away: worth trying again.
    #[error("unavailable: {0}")]
    Unavailable(Cause),
}

/// Why a request is not well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The body is not UTF-8, somewhere.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// The body is not JSON.
    #[error("the body is not JSON")]
    NotJson,
    /// The body is JSON, but not an object.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// Neither `Host` nor `:authority` nor an absolute request target.
    #[error("no host")]
    NoHost,
    /// More than one `Host` (RFC 9112, section 3.2).
    #[error("more than one Host header")]
    RepeatedHost,
    /// The host is not of the form `host[:port]`.
    #[error("the host is not of the form host[:port]")]
    NotAHost,
    /// `Host` names another host than `:authority` or the request target.
    #[error("the Host header differs from the request's authority")]
    DifferentHosts,
    /// The body broke off or was not readable.
    #[error("the body could not be read")]
    UnreadableBody,
    /// Something follows the body. What the parser takes for trailers may have
    /// been meant as another request.
    #[error("trailers")]
    Trailers,
    /// A `Transfer-Encoding` other than `chunked`.
    #[error("another Transfer-Encoding than chunked")]
    TransferEncoding,
}

/// A state of a task that stands in the way of what is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TaskState {
    /// Never started.
    #[error("new")]
    New,
    /// Waits for another attempt.
    #[error("waiting")]
    Waiting,
    /// Runs.
    #[error("executing")]
    Executing,
    /// Ended well.
    #[error("success")]
    Success,
    /// Failed.
    #[error("failed")]
    Failed,
}

impl ApiError {
    /// An [`ApiError::Internal`] with its cause.
    pub fn internal(cause: impl StdError + Send + Sync + 'static) -> Self {
        Self::Internal(Arc::new(cause))
    }

    /// An [`ApiError::Unavailable`] with its cause.
    pub fn unavailable(cause: impl StdError + Send + Sync + 'static) -> Self {
        Self::Unavailable(Arc::new(cause))
    }

    /// How long the client should wait before it tries again, where trying again is
    /// worth it.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyRequests(wait) => Some(*wait),
            Self::Unavailable(_) | Self::TooManyLeases => Some(RETRY_AFTER),
            _ => None,
        }
    }

    /// The fields at fault; empty where no field is.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        match self {
            Self::InvalidParameters(violations)
            | Self::DateOutsideWindow(violations)
            | Self::ReportRefused(violations) => violations.as_slice(),
            _ => &[],
        }
    }
}

impl From<Violation> for ApiError {
    fn from(violation: Violation) -> Self {
        Self::InvalidParameters(violation.into())
    }
}

impl IntoResponse for ApiError {
    /// Only marks the response: the body needs the request's language, which
    /// [`crate::web::envelope`] knows.
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_tells_violations_as_text() {
        let error = ApiError::InvalidParameters(Violations::from_iter([
            Violation::new("dstUserId", Reason::Missing),
            Violation::new("taskType", Reason::NotAnInteger),
        ]));
        assert_eq!(
            error.to_string(),
            "invalid parameters: dstUserId is required; taskType must be an integer"
        );
        let error = ApiError::Malformed(Malformed::NoHost);
        assert_eq!(error.to_string(), "malformed request: no host");
    }
}
