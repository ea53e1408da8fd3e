//! The listener: limits of connections, and the way from start to exit.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum_server::Handle;
use axum_server::accept::Accept;
use hyper_util::server::conn::auto::Builder;
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service;
use tower::make::Shared;

use crate::app::App;

/// How long a connection may take to send the headers of a request; an idle
/// connection is closed after the same time.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// The most bytes of a request's head, and of a connection's read buffer.
const HEAD_LIMIT: usize = 32 * 1024;
/// The most connections at a time.
const MOST_CONNECTIONS: u64 = 16 * 1024;
/// The most connections that wait to be accepted.
const BACKLOG: u32 = 4096;
/// How long a client may leave what was sent to it unread.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(60);
/// The file descriptors kept for other things than connections.
const RESERVED_FILES: u64 = 128;

/// The service on its address, about to take requests.
pub struct Server {
    app: App,
    listener: TcpListener,
    shutdown_grace: Duration,
}

impl Server {
    /// Takes the address. Connections wait until [`Server::run`], which at its end
    /// lets what is in flight go on for `shutdown_grace`.
    ///
    /// # Errors
    ///
    /// When the address cannot be taken.
    pub fn bind(app: App, address: SocketAddr, shutdown_grace: Duration) -> io::Result<Self> {
        Ok(Self {
            app,
            listener: listen(address)?,
            shutdown_grace,
        })
    }

    /// The address in use; its port is the real one when 0 was asked for.
    ///
    /// # Errors
    ///
    /// When the operating system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown` resolves, answers what is in flight within the
    /// grace period, and ends the rest ([`App::stop`]).
    ///
    /// # Errors
    ///
    /// When the listener fails for good.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let handle = Handle::new();
        let mut server = axum_server::from_tcp(self.listener)?
            .handle(handle.clone())
            .first_request_timeout(HEADER_TIMEOUT)
            .accept_error_handler(|_, error| tracing::warn!(%error, "a connection was refused"))
            .acceptor(ConnectionLimit::new(most_connections()));
        limit_connections(server.http_builder());
        let serve = server.serve(Shared::new(self.app.service()));
        let stop = async {
            shutdown.await;
            tracing::info!("shutting down");
            handle.graceful_shutdown(Some(self.shutdown_grace));
            std::future::pending::<()>().await;
        };
        let served = tokio::select! {
            served = serve => served,
            () = stop => Ok(()),
        };
        self.app.stop().await;
        tracing::info!("stopped");
        served
    }
}

/// Takes the address, with room for a burst of connections.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Bounds what one connection can cost.
fn limit_connections<E>(builder: &mut Builder<E>) {
    builder
        .http1()
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEAD_LIMIT);
    builder
        .http2()
        .max_concurrent_streams(128)
        .max_header_list_size(HEAD_LIMIT as u32)
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(256 * 1024)
        .keep_alive_interval(HEADER_TIMEOUT)
        .keep_alive_timeout(HEADER_TIMEOUT);
}

/// As many connections as the process may have files, up to a bound.
fn most_connections() -> usize {
    let wanted = MOST_CONNECTIONS.saturating_add(RESERVED_FILES);
    let files = rlimit::increase_nofile_limit(wanted).unwrap_or(1024);
    let connections = files
        .saturating_sub(RESERVED_FILES)
        .clamp(16, MOST_CONNECTIONS);
    usize::try_from(connections).unwrap_or(usize::MAX)
}

/// Refuses connections above a number, so that those it has are served.
#[derive(Clone)]
struct ConnectionLimit {
    permits: Arc<Semaphore>,
}

impl ConnectionLimit {
    fn new(most: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(most)),
        }
    }
}

impl<S> Accept<TcpStream, S> for ConnectionLimit {
    type Stream = TcpStream;
    type Service = Permitted<S>;
    type Future = std::future::Ready<io::Result<(TcpStream, Permitted<S>)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let permit = Arc::clone(&self.permits).try_acquire_owned();
        std::future::ready(match permit {
            Ok(permit) => configure(&stream).map(|()| {
                let service = Permitted {
                    inner: service,
                    _permit: Arc::new(permit),
                };
                (stream, service)
            }),
            Err(_) => Err(io::Error::other("too many connections")),
        })
    }
}

/// Small answers at once, and an end to a client that takes none.
fn configure(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_user_timeout(Some(UNREAD_TIMEOUT))
}

/// A connection's service; the connection counts as long as it lives.
#[derive(Clone)]
struct Permitted<S> {
    inner: S,
    _permit: Arc<OwnedSemaphorePermit>,
}

impl<S: Service<R>, R> Service<R> for Permitted<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.inner.call(request)
    }
}
