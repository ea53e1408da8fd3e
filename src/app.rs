//! The composition root: what the service is made of, and in which order a
//! request goes through it.

mod openapi;
mod settings;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use http::Request;
use jiff::Timestamp;
use opentelemetry_sdk::trace::SdkTracer;
use tokio_util::task::TaskTracker;
use tower::util::AndThenLayer;
use tower::{Service, ServiceBuilder};
use tower_http::catch_panic::CatchPanicLayer;

use crate::api;
use crate::auth::jwt::{JwksError, Jwt};
use crate::auth::layer::AuthLayer;
use crate::auth::limits::Limiter;
use crate::auth::{self, Authenticator};
use crate::config::{Config, Source};
use crate::directory::Directory;
use crate::ops::{Ops, Reloads, documentation};
use crate::reload::{self, Outcome, Reload, What};
use crate::shutdown::{self, Background};
use crate::stand_in::{self, Recorder, SeedError, StandIn};
use crate::store::{self, OpenError, StoreContext};
use crate::task::TaskService;
use crate::task::clock::SharedClock;
use crate::task::repository::TaskRepository;
use crate::tenant;
use crate::tls::{self, Tls, TlsError};
use crate::web::call::{Access, Calls};
use crate::web::context::RequestLimits;
use crate::web::cors::{Cors, Origin};
use crate::web::envelope::EnvelopeLayer;
use crate::web::error::ApiError;
use crate::web::forwarded::TrustedProxies;
use crate::web::request_span::RequestTracer;
use crate::worker;

pub use self::openapi::openapi;
use self::settings::Settings;

/// The fewest reads that are let to a store at a time: a few more than SQLite's
/// connections, or than cores where there is no database.
const FEWEST_READS: usize = 8;

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
                usize::from(config.store.max_connections).max(FEWEST_READS),
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

    /// The routes.
    fn routes(&self) -> Router {
        let console = AuthLayer::new(Arc::clone(&self.authenticator), Arc::clone(&self.limiter));
        let routes = calls()
            // Around each call alone: an unknown path is 404 to everybody.
            .routes(|access, route| match access {
                Access::Console => match &self.stand_in {
                    Some(stand_in) => route
                        .route_layer(from_fn_with_state(stand_in.clone(), stand_in::decide))
                        .route_layer(console.clone()),
                    None => route.route_layer(console.clone()),
                },
                Access::Worker => {
                    let authenticator = Arc::clone(&self.authenticator);
                    route.route_layer(from_fn_with_state(authenticator, auth::admit_worker))
                }
                Access::Anyone => route,
            });
        let routes = routes
            .fallback(async || ApiError::RouteNotFound)
            .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
            .with_state(self.tasks.clone());
        match &self.stand_in {
            Some(stand_in) => {
                let recorder = Recorder {
                    stand_in: stand_in.clone(),
                    authenticator: Arc::clone(&self.authenticator),
                };
                routes
                    .layer(from_fn_with_state(recorder, stand_in::record))
                    .merge(stand_in.routes())
                    .merge(documentation(&openapi()))
            }
            None => routes,
        }
    }

    /// What lets pages of other origins call, if any may.
    fn cors(&self) -> Option<Cors> {
        let listed = Arc::clone(&self.origins);
        let is_local = self.stand_in.as_ref().map(StandIn::is_origin_allowed);
        if listed.is_empty() && is_local.is_none() {
            return None;
        }
        Some(Cors::new(move |origin| {
            listed.iter().any(|listed| listed == origin)
                || is_local.as_ref().is_some_and(|is_local| is_local(origin))
        }))
    }

    /// The whole service: the layers around the routes, the outermost first.
    #[must_use]
    pub fn service<B>(&self) -> impl HttpService<B>
    where
        B: http_body::Body<Data = axum::body::Bytes, Error: Into<axum::BoxError>> + Send + 'static,
    {
        let stand_in = self.stand_in.as_ref();
        ServiceBuilder::new()
            // Around all, so that a page can read errors of any layer.
            .option_layer(self.cors())
            // Without the deadline of the envelope: a rule can be slower.
            .option_layer(stand_in.map(|_| AndThenLayer::new(stand_in::conduct)))
            // Sees every request first and every answer last: it must know the
            // trace id of all there is, and give errors of all layers one form.
            .layer(
                EnvelopeLayer::new(self.limits)
                    .behind(self.proxies.clone())
                    .observed_by(self.ops.requests())
                    .traced_by(self.tracer.clone()),
            )
            // Within the envelope, so that a panic is answered like any error.
            .layer(CatchPanicLayer::custom(on_panic))
            .service(self.routes())
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

/// Who checks credentials. Keys of JWTs are kept up to date in the background.
fn authenticator(
    config: &Config,
    clock: &SharedClock,
    reload: &Reload,
    background: &Background,
) -> Result<Authenticator, JwksError> {
    let auth = &config.auth;
    let credentials = auth.credentials();
    let mut authenticator =
        Authenticator::new(auth.mode, auth.clock_skew, credentials, Arc::clone(clock));
    if config.dev.is_some() {
        authenticator = authenticator.in_the_stand_in();
    }
    if let Some(jwt) = &auth.jwt
        && let Some(source) = jwt.source()
    {
        let (tasks, stop) = (background.tasks(), background.token());
        let jwt = Jwt::new(jwt.issuer(), source, reload, &tasks, stop)?;
        authenticator = authenticator.with_jwt(jwt);
    }
    Ok(authenticator)
}

/// Has the operations show what can be reloaded, as it is in force.
fn watch_reloadable(ops: &Ops, reload: &Reload, authenticator: &Arc<Authenticator>) {
    let counts = reload.clone();
    ops.watch_reloads(move || {
        let count = |what: What| Reloads {
            what: what.name(),
            taken: counts.count(what, Outcome::Loaded),
            refused: counts.count(what, Outcome::Refused),
        };
        What::ALL.map(count).into()
    });
    let authenticator = Arc::clone(authenticator);
    ops.watch_credentials(move || authenticator.earliest_expiry().map(Timestamp::as_second));
}

/// A service that answers every request of this body type.
pub trait HttpService<B>:
    Service<Request<B>, Response = Response, Error = Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S, B> HttpService<B> for S where
    S: Service<Request<B>, Response = Response, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// A handler panicked; the payload may hold anything, so only its text is
/// logged.
#[derive(Debug, thiserror::Error)]
#[error("a handler panicked: {0}")]
struct Panicked(String);

fn on_panic(payload: Box<dyn std::any::Any + Send>) -> http::Response<Body> {
    let text = match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload
            .downcast::<&'static str>()
            .map_or_else(|_| "(no text)".to_owned(), |text| (*text).to_owned()),
    };
    ApiError::internal(Panicked(text)).into_response()
}
