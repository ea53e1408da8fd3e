//! The composition root: what the service is made of. In which order a request
//! goes through it stands in `service`.

mod authenticator;
mod openapi;
mod panicked;
mod service;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use opentelemetry_sdk::trace::SdkTracer;
use tokio_util::task::TaskTracker;

use crate::api;
use crate::auth::Authenticator;
use crate::auth::jwt::JwksError;
use crate::auth::limits::Limiter;
use crate::config::{Config, Source};
use crate::directory::Directory;
use crate::ops::{Ops, Reloads};
use crate::reload::{self, Outcome, Reload, What};
use crate::shutdown::{self, Background};
use crate::stand_in::{SeedError, StandIn};
use crate::store::{self, OpenError, StoreContext};
use crate::task::TaskService;
use crate::task::clock::SharedClock;
use crate::task::repository::TaskRepository;
use crate::tenant;
use crate::tls::{self, Tls, TlsError};
use crate::web::call::Calls;
use crate::web::context::RequestLimits;
use crate::web::cors::Origin;
use crate::web::forwarded::TrustedProxies;
use crate::web::request_span::RequestTracer;
use crate::worker;

use self::authenticator::authenticator;
pub use self::openapi::openapi;
pub use self::service::HttpService;
use self::settings::Settings;

/// Every call. This one list makes the routes and the OpenAPI document.
fn calls() -> Calls<TaskService> {
    api::calls().and(tenant::calls()).and(worker::calls())
}

/// Why there is no service.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The stand-in's seed cannot be had.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// The keys of JWTs are of no use.
    #[error("auth.jwt.jwks_file: {0}")]
    Jwks(#[from] JwksError),
    /// The files of certificates and keys are of no use.
    #[error("TLS, as server.tls_cert_file and those beside it say: {0}")]
    Tls(#[from] TlsError),
}

/// What is known of the running service, before it starts.
#[must_use]
pub fn operations() -> Ops {
    Ops::new(calls().paths())
}

/// The service, ready to be served.
pub struct App {
    ops: Ops,
    background: Background,
    reload: Reload,
    authenticator: Arc<Authenticator>,
    limiter: Arc<Limiter>,
    repository: Arc<dyn TaskRepository>,
    tasks: TaskService,
    limits: RequestLimits,
    proxies: TrustedProxies,
    origins: Arc<[Origin]>,
    stand_in: Option<StandIn>,
    tracer: Option<RequestTracer>,
    tls: Option<tls::Acceptor>,
}

impl App {
    /// Opens the store and puts the service together.
    ///
    /// # Errors
    ///
    /// [`BuildError`].
    pub async fn build(config: &Config, clock: SharedClock) -> Result<Self, BuildError> {
        Self::build_watched(config, clock, operations()).await
    }

    /// As [`App::build`]; what the service does is told to `ops`.
    ///
    /// # Errors
    ///
    /// As [`App::build`].
    pub async fn build_watched(
        config: &Config,
        clock: SharedClock,
        ops: Ops,
    ) -> Result<Self, BuildError> {
        // Before the store, which a start that fails leaves as it was.
        let tls = config.server.tls_files().map(Tls::load).transpose()?;
        let background = Background::default();
        let reload = Reload::default();
        let authenticator = authenticator(config, &clock, &reload, &background)?;
        let context = StoreContext {
            node: config.id.node,
            clock: clock.clone(),
            migrate: config.store.migrate,
            max_connections: config.store.max_connections,
            attempts: config.tasks.policy(),
            observer: ops.tasks(),
            tasks: background.tasks(),
            stop: background.token(),
        };
        let mut repository = store::open(&config.store.url, context).await?;
        let mut stand_in = None;
        if let Some(dev) = &config.dev {
            let tasks = background.tasks();
            let token = background.token();
            let settings = dev.settings(config.server.scheme());
            let lives = StandIn::new(repository, settings, clock.clone(), &tasks, token)?;
            lives.prepare().await?;
            repository = lives.repository();
            stand_in = Some(lives);
        }
        let mut app = Self::compose(config, authenticator, repository, background, reload, ops);
        app.stand_in = stand_in;
        app.tls = tls.map(|tls| app.watch_certificate(tls));
        Ok(app)
    }

    /// Puts the service together over this repository, whatever
    /// `config.store` says; nothing lives in it by itself.
    ///
    /// # Errors
    ///
    /// [`JwksError`].
    pub fn with_repository(
        config: &Config,
        clock: SharedClock,
        repository: Arc<dyn TaskRepository>,
    ) -> Result<Self, JwksError> {
        let background = Background::default();
        let reload = Reload::default();
        let authenticator = authenticator(config, &clock, &reload, &background)?;
        let ops = operations();
        Ok(Self::compose(
            config,
            authenticator,
            repository,
            background,
            reload,
            ops,
        ))
    }

    fn compose(
        config: &Config,
        authenticator: Authenticator,
        repository: Arc<dyn TaskRepository>,
        background: Background,
        reload: Reload,
        ops: Ops,
    ) -> Self {
        ops.opened(&repository);
        let directory = config
            .directory
            .file
            .clone()
            .map_or_else(Directory::default, |file| {
                Directory::watch(file, &reload, &background.tasks(), background.token())
            });
        let authenticator = Arc::new(authenticator);
        watch_reloadable(&ops, &reload, &authenticator);
        Self {
            background,
            reload,
            tasks: TaskService::new(
                Arc::clone(&repository),
                Arc::new(directory),
                config.tasks.policy(),
                ops.tasks(),
            ),
            authenticator,
            stand_in: None,
            tracer: None,
            tls: None,
            limiter: Arc::new(Limiter::new(
                config.limits.limits(),
                repository.reads_at_a_time(),
            )),
            ops,
            repository,
            limits: RequestLimits {
                body: usize::try_from(config.server.body_limit.as_u64()).unwrap_or(usize::MAX),
                timeout: config.server.request_timeout,
            },
            proxies: config.server.trusted_proxies.clone().into(),
            origins: Arc::clone(&config.server.cors_origins),
        }
    }

    /// Has the certificate change with its files, and its end shown.
    fn watch_certificate(&self, tls: Tls) -> tls::Acceptor {
        if let Some(warning) = tls.warning(Timestamp::now()) {
            tracing::warn!("{warning}");
        }
        let (tasks, stop) = (self.background.tasks(), self.background.token());
        let acceptor = tls.watch(&self.reload, &tasks, stop);
        let shown = acceptor.clone();
        self.ops.watch_certificate(move || Some(shown.end()));
        acceptor
    }

    /// Has a span made of each request, by this tracer.
    #[must_use]
    pub fn traced_by(mut self, tracer: SdkTracer) -> Self {
        self.tracer = Some(RequestTracer::new(tracer, calls().paths()));
        self
    }

    /// What is known of the running service.
    #[must_use]
    pub fn ops(&self) -> Ops {
        self.ops.clone()
    }

    /// What makes the listener's connections ones within TLS, if they shall be.
    #[must_use]
    pub fn tls(&self) -> Option<tls::Acceptor> {
        self.tls.clone()
    }

    /// The tasks, for who executes them.
    #[must_use]
    pub fn tasks(&self) -> TaskService {
        self.tasks.clone()
    }

    /// What runs in the background. It ends by itself when the service is dropped.
    #[must_use]
    pub fn background(&self) -> TaskTracker {
        self.background.tasks()
    }

    /// Has what is reloadable read its files anew: the user directory, the certificate
    /// and, once [watched](App::watch), the configuration.
    #[must_use]
    pub fn reload(&self) -> Reload {
        self.reload.clone()
    }

    /// Watches what the settings came from: credentials and limits that change
    /// there change here. `in_force` are the settings that the service was built
    /// with.
    pub fn watch(&self, source: Source, in_force: Config) {
        let mut settings = Settings::new(
            source,
            in_force,
            Arc::clone(&self.authenticator),
            Arc::clone(&self.limiter),
            self.reload.clone(),
        );
        let (tasks, stop) = (self.background.tasks(), self.background.token());
        reload::watch(&self.reload, &tasks, stop, move |occasion| {
            settings.look(occasion);
        });
    }

    /// Says that the service is about to end: no more requests shall be sent here, and
    /// no claim waits for long.
    pub(crate) fn drain(&self) {
        self.ops.draining();
        self.repository.drain();
    }

    /// Ends all but the listener: closes the store, which finishes what was
    /// accepted and may take what is `left` of the time for the shutdown, then ends
    /// what runs in the background.
    pub async fn stop(&self, left: Duration) {
        let limit = left.clamp(shutdown::STORE_AT_LEAST, shutdown::STORE);
        shutdown::within(limit, "the store", self.repository.close()).await;
        self.background.stop().await;
    }

    /// Where tasks are kept.
    #[must_use]
    pub fn repository(&self) -> Arc<dyn TaskRepository> {
        Arc::clone(&self.repository)
    }
}

/// Has the operations show what can be reloaded, as it is in force.
fn watch_reloadable(ops: &Ops, reload: &Reload, authenticator: &Arc<Authenticator>) {
    let counts = reload.clone();
    ops.watch_reloads(move || {
        let counts = &counts;
        let of = |what: What| {
            Outcome::ALL.map(|outcome| Reloads {
                what: what.name(),
                outcome: outcome.name(),
                count: counts.count(what, outcome),
            })
        };
        What::ALL.into_iter().flat_map(of).collect()
    });
    let authenticator = Arc::clone(authenticator);
    ops.watch_credentials(move || authenticator.earliest_expiry().map(Timestamp::as_second));
}
