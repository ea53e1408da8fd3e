//! The local stand-in for KooDrive: tasks that live, rules, tenants side by side,
//! a journal. An ordinary client of the task service, and nothing of `serve`.
//!
//! Contract: `stand-in.md`.

mod answer;
mod calls;
mod choice;
pub mod clock;
mod control;
mod events;
mod exchange;
mod faults;
mod guard;
mod journal;
mod leading;
mod living;
pub mod matcher;
mod outcome;
mod page;
pub mod progress;
mod recording;
mod repository;
pub mod rules;
mod seed;
mod tenant;
mod tenants;
mod text;
mod world;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::events::Events;
pub use self::faults::{conduct, decide};
use self::journal::{Entry, Journal};
use self::progress::Progress;
pub use self::recording::{Recorder, record};
use self::rules::Rule;
pub use self::seed::SeedError;
use self::seed::StateForm;
use self::tenants::Tenants;
use crate::task::clock::SharedClock;
use crate::task::repository::{StoreError, TaskRepository};

/// Where a seed is looked for if none is named.
const USUAL_SEED: &str = "/etc/kootask/seed";

/// How the stand-in behaves (`[dev]`).
#[derive(Debug, Clone)]
pub struct Settings {
    /// How tasks come on by themselves.
    pub progress: Progress,
    /// What there is at start: a file, or a folder of files.
    pub seed: Option<PathBuf>,
    /// Where the clock stands still; it goes with the wall clock if `None`.
    pub clock: Option<Timestamp>,
    /// The most tasks.
    pub max_tasks: usize,
    /// The most requests in the journal.
    pub journal: usize,
    /// Further hosts and origins of the stand-in's own calls.
    pub trust: Vec<String>,
    /// The rules, the newest last.
    pub rules: Vec<Rule>,
    /// The scheme that it is called by: `http` or `https`.
    pub scheme: &'static str,
}

/// The stand-in. Cheap to clone.
#[derive(Clone)]
pub struct StandIn(Arc<Shared>);

struct Shared {
    store: Arc<dyn TaskRepository>,
    settings: Settings,
    seed: StateForm,
    wall: SharedClock,
    tenants: Tenants,
    /// Ends whatever waits, and all streams.
    stop: CancellationToken,
    journal: Journal,
    events: Events,
    /// How many there were, of all tenants.
    resets: AtomicU64,
    /// A task has got a time at which it goes on.
    timed: tokio::sync::Notify,
}

impl StandIn {
    /// A stand-in whose tasks are kept in `store`; reads its seed. What it does by
    /// itself runs in `tasks` until `stop`.
    ///
    /// # Errors
    ///
    /// [`SeedError`] if the seed cannot be read or is wrong.
    pub fn new(
        store: Arc<dyn TaskRepository>,
        settings: Settings,
        wall: SharedClock,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, SeedError> {
        let usual = PathBuf::from(USUAL_SEED);
        let path = settings
            .seed
            .clone()
            .or_else(|| usual.exists().then_some(usual));
        let seed = match path {
            Some(path) => seed::read(&path)?,
            None => StateForm::default(),
        };
        if let Some(controls) = store.controls() {
            controls.bound(settings.max_tasks);
        } else if !seed.is_empty() {
            return Err(SeedError::NeedsMemory);
        }
        let journal = Journal::new(settings.journal);
        let stand_in = Self(Arc::new(Shared {
            store,
            settings,
            seed,
            wall,
            tenants: Tenants::default(),
            stop: stop.child_token(),
            journal,
            events: Events::default(),
            resets: AtomicU64::new(0),
            timed: tokio::sync::Notify::new(),
        }));
        let lives = stand_in.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = lives.come_on() => {}
                () = stop.cancelled() => {}
            }
        });
        Ok(stand_in)
    }

    /// The tasks as their clients see them: each look can be a poll.
    #[must_use]
    pub fn repository(&self) -> Arc<dyn TaskRepository> {
        Arc::new(self.clone())
    }

    /// Whether a page of this origin may call from a browser.
    pub fn is_origin_allowed(&self) -> impl Fn(&str) -> bool + Clone + Send + Sync + 'static {
        let shared = Arc::clone(&self.0);
        move |origin| {
            let trust = &shared.settings.trust;
            guard::is_local_origin(origin) || trust.iter().any(|trusted| trusted == origin)
        }
    }

    /// How many resets there were.
    fn resets(&self) -> u64 {
        self.0.resets.load(Ordering::Acquire)
    }

    /// Files a request.
    fn note(&self, tenant: &tenant::Tenant, entry: Entry) {
        let entry = self.0.journal.push(tenant.id(), entry);
        let seq = ("seq", entry.seq.into());
        self.0.events.tell("request", tenant.id(), Some(seq));
    }

    /// The tenant that is there without being named, with its seed.
    ///
    /// # Errors
    ///
    /// [`SeedError`] if the seed cannot be had.
    pub fn prepare(&self) -> BoxFuture<'_, Result<(), SeedError>> {
        Box::pin(async move {
            let dev = self.0.stand_in_tenant();
            self.tenant(&dev).await.map_err(SeedError::Store)?;
            Ok(())
        })
    }
}

impl Shared {
    fn now(&self, tenant: &tenant::Tenant) -> Timestamp {
        tenant.now(self.wall.now())
    }

    fn stand_in_tenant(&self) -> crate::task::TenantId {
        crate::auth::stand_in::tenant()
    }
}

/// What cannot be done with tasks, as the store says it.
type Outcome<T> = Result<T, StoreError>;
