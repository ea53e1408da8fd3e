//! `kootask serve`: the service.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;

use jiff::Timestamp;
use listenfd::ListenFd;
use opentelemetry_sdk::trace::SdkTracer;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::CommandError;
use crate::app::{self, App};
use crate::auth::AuthMode;
use crate::config::{Config, Defaults, Source};
use crate::logging::{self, LogGuard};
use crate::ops::{self, Ops};
use crate::reload::Reload;
use crate::server::{OpsServer, Server, Timing};
use crate::shutdown;
use crate::task::clock::SystemClock;
use crate::traces::Traces;

/// The arguments of `kootask serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "KOOTASK_CONFIG")]
    config: Option<PathBuf>,
    /// Serve a network even though auth.mode is accept-any, so that whoever reaches it may call
    #[arg(long)]
    accept_any_from_network: bool,
}

/// The argument that lets a network in without credentials.
pub(super) const ALLOW: &str = "--accept-any-from-network";

/// After how many steps of other requests a worker looks for new ones. With the usual 61
/// who asks for one task would wait for dozens of pages of others.
const EVENT_INTERVAL: u32 = 8;
/// There is nobody who may call.
const NO_CREDENTIAL: &str = "\
no credential is configured, so nobody could call this service. Add one, for example a bearer token:

  [[auth.tokens]]
  token_sha256 = \"…\"   # printf %s \"$TOKEN\" | sha256sum
  tenant_id = \"my-company\"

or an app that signs its requests:

  [[auth.apps]]
  app_id = \"my-console\"
  tenant_id = \"my-company\"
  app_secret_file = \"/run/secrets/my-console\"

or the issuer of your users' JWTs, under [auth.jwt],

to a file given with --config, or the same in the environment:

  KOOTASK__AUTH__TOKENS__0__TOKEN_SHA256=…  KOOTASK__AUTH__TOKENS__0__TENANT_ID=my-company

To try the service without credentials, run «kootask dev».";

impl Serve {
    pub(super) fn run(self) -> Result<(), CommandError> {
        let source = Source {
            file: self.config,
            defaults: Defaults::Serve,
            arguments: Vec::new(),
            apps: Vec::new(),
        };
        let config = source.load().config?;
        require_credential(&config)?;
        if config.lets_a_network_in() && !self.accept_any_from_network {
            let listen = config.server.listen;
            return Err(format!(
                "auth.mode is accept-any and server.listen is {listen}: whoever reaches that \
                 address could have accounts deleted. Set auth.mode = \"verify\", listen on \
                 loopback (127.0.0.1:{}), or give {ALLOW} if that is meant",
                listen.port()
            )
            .into());
        }
        let log = logging::start()?;
        for warning in config.warnings(Timestamp::now()) {
            tracing::warn!("{warning}");
        }
        serve(config, source, &log, |_| ())
    }
}

/// Refuses a configuration under which nobody could call.
pub(super) fn require_credential(config: &Config) -> Result<(), CommandError> {
    if config.auth.mode == AuthMode::Verify && config.auth.has_no_credential() {
        return Err(NO_CREDENTIAL.into());
    }
    Ok(())
}

/// Runs the service until SIGTERM or SIGINT; `listening` is told its address.
/// `source` is watched, and SIGHUP reloads what is reloadable.
pub(super) fn serve(
    config: Config,
    source: Source,
    log: &LogGuard,
    listening: impl FnOnce(SocketAddr),
) -> Result<(), CommandError> {
    // Before there are threads: it is told by the environment.
    let inherited = ListenFd::from_env().take_tcp_listener(0)?;
    let traces = Traces::from_environment(ops::VERSION)?;
    let tracer = traces.as_ref().map(Traces::tracer);
    let ops = app::operations();
    ops::count_panics();
    ops.watch_log(log.dropped());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .event_interval(EVENT_INTERVAL)
        .enable_all()
        .build()?;
    let served = runtime.block_on(async {
        let side = SideTasks::default();
        watch_over(&config, &ops, &side)?;
        let served = run(config, source, inherited, ops, tracer, listening).await;
        side.end().await;
        served
    });
    // What had to end has been waited for; a thread that hangs is left.
    runtime.shutdown_background();
    if let Some(traces) = traces {
        traces.end(shutdown::SPANS);
    }
    served
}

/// Starts the operations listener, if there shall be one.
fn watch_over(config: &Config, ops: &Ops, side: &SideTasks) -> Result<(), CommandError> {
    let Some(address) = config.server.ops_listen.address() else {
        return Ok(());
    };
    let server = OpsServer::bind(address)
        .map_err(|error| format!("cannot listen on {address}, server.ops_listen: {error}"))?;
    tracing::info!(address = %server.address()?, "operations listener");
    let end = side.end.clone().cancelled_owned();
    side.tasks
        .spawn(server.run(ops.clone(), app::openapi(), end));
    Ok(())
}

/// What is there before the service and ends after it.
#[derive(Default)]
struct SideTasks {
    tasks: TaskTracker,
    end: CancellationToken,
}

impl SideTasks {
    async fn end(self) {
        self.end.cancel();
        self.tasks.close();
        let limit = shutdown::BACKGROUND;
        shutdown::within(limit, "the operations listener", self.tasks.wait()).await;
    }
}

async fn run(
    config: Config,
    source: Source,
    inherited: Option<TcpListener>,
    ops: Ops,
    tracer: Option<SdkTracer>,
    listening: impl FnOnce(SocketAddr),
) -> Result<(), CommandError> {
    let (stop, hurry) = signals()?;
    let draining = ops.clone();
    let stop = async move {
        stop.await;
        draining.draining();
        tell_systemd(&[NotifyState::Stopping]);
    };
    let mut stop = pin!(stop);
    // From here on it ends nothing, though there is nothing to reload yet.
    let hangup = signal(SignalKind::hangup())?;
    let app = tokio::select! {
        app = App::build_watched(&config, Arc::new(SystemClock), ops) => app?,
        // It can wait for a database.
        () = &mut stop => return Ok(()),
    };
    let app = match tracer {
        Some(tracer) => app.traced_by(tracer),
        None => app,
    };
    let reload = app.reload();
    app.watch(source, config.clone());
    let server = bind(app, &config, inherited).await?;
    let address = server.address()?;
    listening(address);
    tracing::info!(target: logging::READY, %address, "ready");
    tell_systemd(&[NotifyState::Ready]);
    tokio::select! {
        served = server.run(stop, hurry) => Ok(served?),
        never = reload_at(hangup, reload) => match never {},
    }
}

/// Tells systemd, where it wants to know (`NOTIFY_SOCKET`).
fn tell_systemd(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd cannot be told how the service is");
    }
}

/// Takes the address, or the socket that was inherited for it. Where it cannot be
/// had the store is closed, so that the node it may hold is free at once.
async fn bind(
    app: App,
    config: &Config,
    inherited: Option<TcpListener>,
) -> Result<Server, CommandError> {
    let server = &config.server;
    let timing = Timing {
        keep_alive: server.keep_alive,
        drain_delay: server.drain_delay,
        shutdown_grace: server.shutdown_grace,
    };
    let background = app.background();
    let bound = match inherited {
        Some(socket) => Server::inherit(app, socket, timing),
        None => Server::bind(app, server.listen, timing),
    };
    match bound {
        Ok(server) => Ok(server),
        Err(error) => {
            // What is left of the service ends by itself.
            background.close();
            shutdown::within(shutdown::STORE, "the store", background.wait()).await;
            Err(cannot_listen(server.listen, &error).into())
        }
    }
}

/// Why nothing listens there, and what to do.
fn cannot_listen(address: SocketAddr, error: &io::Error) -> String {
    let port = address.port();
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "another program has the port (ss -ltnp 'sport = :{port}' tells which): \
             end it, or take another port"
        ),
        io::ErrorKind::AddrNotAvailable => {
            "it is no address of this machine; 0.0.0.0 stands for all that it has".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            format!("port {port} takes a privilege; ports from 1024 do not")
        }
        _ => return format!("cannot listen on {address}: {error}"),
    };
    format!(
        "cannot listen on {address}: {error}; {advice}. The address is server.listen, in the \
         environment KOOTASK__SERVER__LISTEN, of «kootask dev» --listen: \
         for example 127.0.0.1:8081"
    )
}

/// Reloads with each of these signals.
async fn reload_at(mut signal: Signal, reload: Reload) -> Infallible {
    while let Some(()) = signal.recv().await {
        tracing::info!("reloading, as asked by SIGHUP");
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell_systemd(&[NotifyState::Reloading, now]),
            Err(error) => tracing::debug!(%error, "there is no monotonic clock"),
        }
        reload.ask();
        tell_systemd(&[NotifyState::Ready]);
    }
    std::future::pending().await
}

/// What asks the service to stop: SIGTERM or SIGINT; and what asks it to stop
/// without delay: SIGINT, or SIGTERM once more.
fn signals() -> io::Result<(impl Future<Output = ()>, impl Future<Output = ()>)> {
    let listen = || {
        let (terminate, interrupt) = (SignalKind::terminate(), SignalKind::interrupt());
        io::Result::Ok((signal(terminate)?, signal(interrupt)?))
    };
    let (mut terminate, mut interrupt) = listen()?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let (mut terminate, mut interrupt) = listen()?;
    let hurry = async move {
        let twice = async {
            terminate.recv().await;
            terminate.recv().await;
        };
        tokio::select! {
            () = twice => {}
            _ = interrupt.recv() => {}
        }
    };
    Ok((stop, hurry))
}
