//! A listening socket and its connections, from the first to the last.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;

use super::Timing;
use super::clock::Clock;
use super::connection::{Connection, Patience, Verdict};
use super::connections::Connections;
use super::exchange::{RequestBody, exchange};
use super::places::Places;
use super::refusal::Refusals;
use super::stream::{Abort, Stream};
use crate::app::HttpService;
use crate::ops;
use crate::tls::Acceptor;

/// How long a connection may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The most bytes of a request's head, and of a connection's read buffer.
const HEAD_LIMIT: usize = 32 * 1024;
/// How long a client may take to close its side after the service has closed its
/// own.
const LINGER: Duration = Duration::from_secs(5);
/// How long a connection may be idle when most places are taken.
const IDLE_IN_A_CROWD: Duration = Duration::from_secs(5);
/// The most connections at a time.
const MOST_CONNECTIONS: u64 = 16 * 1024;
/// The most connections that wait to be accepted.
const BACKLOG: u32 = 4096;
/// How long what was sent may stay unacknowledged.
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);
/// The file descriptors kept for other things than connections.
const RESERVED_FILES: u64 = 160;

/// A listening socket.
pub(super) struct Listener {
    socket: TcpListener,
    /// Whether another process keeps the socket open, for whoever comes after.
    is_inherited: bool,
    timing: Timing,
    places: Arc<Places>,
    refused: Arc<AtomicU64>,
    tls: Option<Acceptor>,
}

/// Spawns the requests of HTTP/2.
#[derive(Debug, Clone)]
struct Spawn(TaskTracker);

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Spawn {
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

/// What a listener's connections share.
struct Shared {
    places: Arc<Places>,
    refusals: Refusals,
    tasks: TaskTracker,
    protocols: Builder<Spawn>,
    connections: Connections,
    timing: Timing,
    tls: Option<Acceptor>,
}

impl Listener {
    /// Takes the address, with room for a burst of connections.
    pub(super) fn bind(address: SocketAddr, timing: Timing) -> io::Result<Self> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(Self::of(socket.listen(BACKLOG)?.into_std()?, false, timing))
    }

    /// Takes a socket that another process has made, and that goes on without this
    /// one.
    pub(super) fn inherit(socket: TcpListener, timing: Timing) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self::of(socket, true, timing))
    }

    fn of(socket: TcpListener, is_inherited: bool, timing: Timing) -> Self {
        Self {
            socket,
            is_inherited,
            timing,
            places: Arc::new(Places::new(most_connections())),
            refused: Arc::default(),
            tls: None,
        }
    }

    /// The same listener; its connections are within TLS, if there is any.
    pub(super) fn within(mut self, tls: Option<Acceptor>) -> Self {
        self.tls = tls;
        self
    }

    /// Tells how many connections there are, and how many were turned away.
    pub(super) fn connections(&self) -> impl Fn() -> ops::Connections + Send + Sync + 'static {
        let (places, refused) = (Arc::clone(&self.places), Arc::clone(&self.refused));
        move || ops::Connections {
            open: places.taken(),
            refused: refused.load(Ordering::Relaxed),
        }
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `stop` resolves and then, until `hurry` does, for
    /// [`Timing::drain_delay`]; answers what is in flight within
    /// [`Timing::shutdown_grace`]. Returns what that has left of the time.
    pub(super) async fn serve<S: HttpService<RequestBody>>(
        self,
        service: S,
        stop: impl Future<Output = ()>,
        hurry: impl Future<Output = ()>,
    ) -> io::Result<Duration> {
        let listener = tokio::net::TcpListener::from_std(self.socket)?;
        let shared = Shared::new(self.places, self.refused, self.timing, self.tls);
        let shared = Arc::new(shared);
        {
            let mut serving = pin!(async {
                tokio::join!(shared.accept(&listener, &service), shared.sweep());
            });
            tokio::select! {
                () = &mut serving => {}
                () = stop => {}
            }
            shared.connections.begin_draining();
            tokio::select! {
                () = &mut serving => {}
                () = tokio::time::sleep(self.timing.drain_delay) => {}
                () = hurry => {}
            }
        }
        if self.is_inherited {
            drop(listener);
        } else {
            shared.accept_the_last(listener, &service)?;
        }
        let begun = Instant::now();
        let grace = self.timing.shutdown_grace;
        shared.connections.drain(&shared.tasks, grace).await;
        Ok(grace.saturating_sub(begun.elapsed()))
    }
}

impl Shared {
    fn new(
        places: Arc<Places>,
        refused: Arc<AtomicU64>,
        timing: Timing,
        tls: Option<Acceptor>,
    ) -> Self {
        let tasks = TaskTracker::new();
        Self {
            places,
            refusals: Refusals::new(tasks.clone(), refused),
            protocols: protocols(Spawn(tasks.clone())),
            tasks,
            connections: Connections::default(),
            timing,
            tls,
        }
    }

    /// Accepts connections for ever.
    async fn accept<S: HttpService<RequestBody>>(
        self: &Arc<Self>,
        listener: &tokio::net::TcpListener,
        service: &S,
    ) {
        loop {
            match listener.accept().await {
                Ok((stream, address)) => self.admit(stream, address, service),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection can be accepted");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    /// Accepts what the kernel has taken in already: closing the socket would reset
    /// it, and with it the request that its client may have sent.
    fn accept_the_last<S: HttpService<RequestBody>>(
        self: &Arc<Self>,
        listener: tokio::net::TcpListener,
        service: &S,
    ) -> io::Result<()> {
        let listener = listener.into_std()?;
        for _ in 0..=BACKLOG {
            match listener.accept() {
                Ok((stream, address)) => {
                    stream.set_nonblocking(true)?;
                    self.admit(TcpStream::from_std(stream)?, address, service);
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// Gives a connection its place and its task, or refuses it.
    fn admit<S: HttpService<RequestBody>>(
        self: &Arc<Self>,
        stream: TcpStream,
        address: SocketAddr,
        service: &S,
    ) {
        let Some((place, peer)) = self.places.take(address) else {
            // Within TLS nothing can be said before a handshake.
            return match self.tls {
                Some(_) => self.refusals.count(),
                None => self.refusals.refuse(stream),
            };
        };
        if let Err(error) = configure(&stream) {
            tracing::debug!(peer = %address, %error, "a connection ended before it began");
            return;
        }
        let (shared, service) = (Arc::clone(self), service.clone());
        // Two tasks, so that a plain connection takes no memory for TLS.
        match self.tls.clone() {
            None => self.tasks.spawn(async move {
                let entry = shared.connections.begin(peer);
                shared.serve(stream, entry.connection(), service).await;
                drop(place);
            }),
            Some(tls) => self.tasks.spawn(async move {
                let entry = shared.connections.begin(peer);
                let connection = entry.connection();
                if let Some(stream) = shake_hands(&tls, stream, connection).await {
                    shared.serve(stream, connection, service).await;
                }
                drop(place);
            }),
        };
    }

    /// Serves the requests of one connection.
    async fn serve<I, S>(&self, stream: I, connection: &Arc<Connection>, service: S)
    where
        I: AsyncRead + AsyncWrite + Abort + Send + Unpin + 'static,
        S: HttpService<RequestBody>,
    {
        let service = Mutex::new(service);
        let service = service_fn(|request| exchange(&service, Arc::clone(connection), request));
        let stream = TokioIo::new(Stream::new(stream, Arc::clone(connection)));
        let mut http = pin!(self.protocols.serve_connection(stream, service));
        let mut finishing = false;
        let ended = std::future::poll_fn(|context| {
            match connection.verdict(context) {
                Verdict::End => return Poll::Ready(None),
                Verdict::Finish if !finishing => {
                    finishing = true;
                    http.as_mut().graceful_shutdown();
                }
                Verdict::Finish | Verdict::Stay => {}
            }
            http.as_mut().poll(context).map(Some)
        })
        .await;
        if let Some(Err(error)) = ended {
            super::refusal::log(connection.peer.address, &*error);
        }
    }

    /// Ends connections when it is time, for ever.
    async fn sweep(&self) {
        let mut ticks = tokio::time::interval(Clock::TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.refusals.log();
            self.connections.sweep(&self.patience());
        }
    }

    fn patience(&self) -> Patience {
        let idle = if self.places.is_crowded() {
            self.timing.keep_alive.min(IDLE_IN_A_CROWD)
        } else {
            self.timing.keep_alive
        };
        Patience {
            head: Clock::ticks(HEAD_TIMEOUT),
            idle: Clock::ticks(idle),
            linger: Clock::ticks(LINGER),
        }
    }
}

/// The connection within TLS, unless its handshake fails or takes longer than the
/// head of a first request may.
async fn shake_hands(
    tls: &Acceptor,
    stream: TcpStream,
    connection: &Connection,
) -> Option<TlsStream<TcpStream>> {
    let mut accept = pin!(tls.accept(stream));
    let accepted = std::future::poll_fn(|context| match connection.verdict(context) {
        Verdict::End => Poll::Ready(None),
        Verdict::Finish | Verdict::Stay => accept.as_mut().poll(context).map(Some),
    });
    accepted
        .await?
        .inspect_err(|error| super::refusal::log_handshake(connection.peer.address, error))
        .ok()
}

/// Both protocols, within their bounds.
fn protocols(spawn: Spawn) -> Builder<Spawn> {
    let mut builder = Builder::new(spawn);
    builder
        .http1()
        // The sweep has this in hand.
        .header_read_timeout(None)
        .max_buf_size(HEAD_LIMIT);
    builder
        .http2()
        .max_concurrent_streams(32)
        .max_header_list_size(HEAD_LIMIT as u32 / 2)
        .initial_stream_window_size(16 * 1024)
        .initial_connection_window_size(64 * 1024);
    builder
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

/// Small answers at once, and an end to a client that is not there any more.
fn configure(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED))
}

/// Whether an error of accepting concerns one connection alone.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}
