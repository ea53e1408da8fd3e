//! The listener: limits of connections, and the way from start to exit.
//!
//! A connection has a place ([`places`]) or is refused ([`refusal`]); its bytes
//! go through [`stream`], its requests and answers through [`exchange`]; what it
//! does is noted in its [`connection`], and [`connections`] ends it when it is time.

mod clock;
mod connection;
mod connections;
mod exchange;
mod listener;
mod places;
mod refusal;
mod stream;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use utoipa::openapi::OpenApi;

use self::listener::Listener;
use crate::app::App;
use crate::ops::Ops;

/// How long connections last.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// How long a connection may be idle; longer than the 60 s of usual proxies.
    pub keep_alive: Duration,
    /// How long a shutdown goes on to accept connections.
    pub drain_delay: Duration,
    /// How long a shutdown waits for what is in flight.
    pub shutdown_grace: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            keep_alive: Duration::from_secs(75),
            drain_delay: Duration::ZERO,
            shutdown_grace: Duration::from_secs(7),
        }
    }
}

/// The service on its address, about to take requests.
pub struct Server {
    app: App,
    listener: Listener,
}

impl Server {
    /// Takes the address. Connections wait until [`Server::run`].
    ///
    /// # Errors
    ///
    /// When the address cannot be taken.
    pub fn bind(app: App, address: SocketAddr, timing: Timing) -> io::Result<Self> {
        Ok(Self::of(app, Listener::bind(address, timing)?))
    }

    /// Takes a socket that listens already, and that outlives this process: systemd's
    /// socket activation.
    ///
    /// # Errors
    ///
    /// When the socket cannot be used.
    pub fn inherit(app: App, socket: TcpListener, timing: Timing) -> io::Result<Self> {
        Ok(Self::of(app, Listener::inherit(socket, timing)?))
    }

    fn of(app: App, listener: Listener) -> Self {
        app.ops().watch_connections(listener.connections());
        let listener = listener.within(app.tls());
        Self { app, listener }
    }

    /// The address in use; its port is the real one when 0 was asked for.
    ///
    /// # Errors
    ///
    /// When the operating system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.address()
    }

    /// Serves until `stop` resolves, answers what is in flight, and ends the
    /// rest ([`App::stop`]). The drain delay ends early when `hurry` resolves.
    ///
    /// # Errors
    ///
    /// When the listener fails for good.
    pub async fn run(
        self,
        stop: impl Future<Output = ()>,
        hurry: impl Future<Output = ()>,
    ) -> io::Result<()> {
        self.app.ops().started();
        let stop = async {
            stop.await;
            self.app.drain();
            tracing::info!("shutting down");
        };
        let served = self.listener.serve(self.app.service(), stop, hurry).await;
        self.app
            .stop(served.as_ref().copied().unwrap_or_default())
            .await;
        tracing::info!("stopped");
        served.map(drop)
    }
}

/// The operations listener, up before the service is.
pub struct OpsServer(Listener);

impl OpsServer {
    /// How long its last answers may take.
    const GRACE: Duration = Duration::from_secs(1);

    /// Takes the address.
    ///
    /// # Errors
    ///
    /// When the address cannot be taken.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let timing = Timing {
            shutdown_grace: Self::GRACE,
            ..Timing::default()
        };
        Ok(Self(Listener::bind(address, timing)?))
    }

    /// The address in use.
    ///
    /// # Errors
    ///
    /// When the operating system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.address()
    }

    /// Answers for `ops` until `stop` resolves. Its requests are not logged.
    pub async fn run(self, ops: Ops, openapi: OpenApi, stop: impl Future<Output = ()>) {
        let service = ops.router(&openapi).with_state(());
        let served = self.0.serve(service, stop, std::future::ready(())).await;
        if let Err(error) = served {
            tracing::error!(%error, "the operations listener has failed");
        }
    }
}
