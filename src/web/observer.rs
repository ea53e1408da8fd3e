//! Who counts requests.

use std::time::Duration;

use http::{Method, StatusCode};

use super::error::ApiError;

/// A request that was answered.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its path, as the client gave it.
    pub path: &'a str,
    /// The status of the answer.
    pub status: StatusCode,
    /// The error that the answer tells, if it tells one.
    pub error: Option<&'a ApiError>,
    /// From the request's head to the head of its answer.
    pub took: Duration,
}

/// Is told of every answer. It must neither block nor allocate.
pub trait RequestObserver: Send + Sync + 'static {
    /// A request was answered.
    fn answered(&self, answered: &Answered<'_>);
}
