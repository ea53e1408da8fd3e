//! Connections that are turned away, and requests that are none.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// What who is too many is told, in the one form of errors (`api.md`, "Errors").
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    Retry-After: 1\r\n\
    Connection: close\r\n\
    Content-Type: application/json\r\n\
    Content-Length: 76\r\n\
    \r\n\
    {\"code\":13000201,\"msg\":\"The service is temporarily unavailable. Try again.\"}";
/// How long a refused client may take to ask and to read its refusal.
const PATIENCE: Duration = Duration::from_secs(1);
/// The most refusals that are waited for at a time.
const MOST_AT_A_TIME: usize = 64;
/// The most bytes that are read of a refused request.
const MOST_READ: usize = 64 * 1024;

/// Turns connections away.
#[derive(Debug)]
pub(super) struct Refusals {
    tasks: TaskTracker,
    permits: Arc<Semaphore>,
    unlogged: AtomicU64,
    /// Since the start.
    refused: Arc<AtomicU64>,
}

impl Refusals {
    pub(super) fn new(tasks: TaskTracker, refused: Arc<AtomicU64>) -> Self {
        Self {
            tasks,
            permits: Arc::new(Semaphore::new(MOST_AT_A_TIME)),
            unlogged: AtomicU64::new(0),
            refused,
        }
    }

    /// Counts a connection for which there is no place, and that ends without a word.
    pub(super) fn count(&self) {
        self.unlogged.fetch_add(1, Ordering::Relaxed);
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Answers 503 to a connection for which there is no place.
    pub(super) fn refuse(&self, stream: TcpStream) {
        self.count();
        match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => {
                self.tasks.spawn(async move {
                    let _ = tokio::time::timeout(PATIENCE, refuse(stream)).await;
                    drop(permit);
                });
            }
            // Too many even to be refused with care.
            Err(_) => {
                let _ = SockRef::from(&stream).send(TOO_MANY);
            }
        }
    }

    /// Writes a line if connections were turned away since the last.
    pub(super) fn log(&self) {
        let refused = self.unlogged.swap(0, Ordering::Relaxed);
        if refused > 0 {
            tracing::warn!(refused, "too many connections: some were turned away");
        }
    }
}

/// Waits for the request, for many a client takes no answer before it has asked;
/// and for the client's end, so that it can read its answer.
async fn refuse(mut stream: TcpStream) -> std::io::Result<()> {
    stream.readable().await?;
    stream.write_all(TOO_MANY).await?;
    stream.shutdown().await?;
    let mut rest = [0; 4096];
    let mut left = MOST_READ;
    while left > 0 {
        match stream.read(&mut rest).await? {
            0 => break,
            read => left = left.saturating_sub(read),
        }
    }
    Ok(())
}

/// Logs why a connection ended, where its client broke the protocol: there is no
/// request that could have a line.
pub(super) fn log(peer: SocketAddr, error: &(dyn Error + 'static)) {
    let hyper = error.downcast_ref::<hyper::Error>();
    let is_end = hyper.is_none_or(|error| {
        error.is_incomplete_message() || error.is_closed() || error.is_canceled() || is_io(error)
    });
    if is_end {
        tracing::debug!(%peer, error = error.to_string(), "a connection broke off");
        return;
    }
    let status = hyper
        .filter(|error| error.is_parse())
        .map(|error| if error.is_parse_too_large() { 431 } else { 400 });
    let cause = error.source().map(ToString::to_string);
    tracing::info!(%peer, status, %error, cause, "no HTTP request could be read");
}

/// Logs why no TLS came to be, where it is not that the client left.
pub(super) fn log_handshake(peer: SocketAddr, error: &std::io::Error) {
    let is_of_tls = error
        .get_ref()
        .is_some_and(|inner| inner.is::<rustls::Error>());
    if is_of_tls {
        tracing::info!(%peer, %error, "no TLS could be agreed on");
    } else {
        tracing::debug!(%peer, %error, "a connection broke off within its handshake");
    }
}

fn is_io(error: &hyper::Error) -> bool {
    let mut source = error.source();
    while let Some(error) = source {
        if error.is::<std::io::Error>() {
            return true;
        }
        source = error.source();
    }
    false
}
