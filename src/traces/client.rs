//! How spans are sent: by ureq, on the thread of the queue.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};

/// How long one try may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of an answer that are read.
const MOST_BYTES: u64 = 64 * 1024;

/// Sends to a collector, and has the log tell when that begins to fail and when it
/// succeeds again.
#[derive(Debug)]
pub(super) struct CollectorClient {
    agent: ureq::Agent,
    fails: AtomicBool,
}

impl CollectorClient {
    pub(super) fn new() -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0);
        Self {
            agent: config.build().into(),
            fails: AtomicBool::new(false),
        }
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let (parts, body) = request.into_parts();
        let answer = self.agent.run(Request::from_parts(parts, &*body))?;
        let (parts, mut body) = answer.into_parts();
        let body = body.with_config().limit(MOST_BYTES).read_to_vec()?;
        Ok(Response::from_parts(parts, body.into()))
    }

    fn note(&self, problem: Option<String>) {
        let fails = problem.is_some();
        if self.fails.swap(fails, Ordering::Relaxed) == fails {
            return;
        }
        match problem {
            Some(error) => tracing::warn!(error, "spans cannot be exported, and are lost"),
            None => tracing::info!("spans are exported again"),
        }
    }
}

#[async_trait]
impl HttpClient for CollectorClient {
    /// Blocks: it is called on a thread that does nothing else.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.send(request);
        self.note(match &sent {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("the collector answers {}", answer.status())),
            Err(error) => Some(error.to_string()),
        });
        Ok(sent?)
    }
}
