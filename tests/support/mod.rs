//! What the tests share: the service started through its production entry
//! point, in this process or as one of its own, and a client.

pub mod client;
pub mod clock;
pub mod collector;
pub mod command;
pub mod credentials;
pub mod crew;
pub mod http2;
pub mod jwt;
pub mod pgbouncer;
pub mod postgres;
pub mod process;
pub mod provider;
pub mod proxy;
pub mod raw;
pub mod tls;
pub mod volume;
pub mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kootask::app::App;
use kootask::config::{Config, Defaults};
use kootask::server::{Server, Timing};
use kootask::stand_in::progress::Progress;
use kootask::store::StoreUrl;
use kootask::task::clock::{SharedClock, SystemClock};
use kootask::task::life_cycle::{Command, Step};
use kootask::task::scope::{Scope, Target};
use kootask::task::{Identifier, Task, TaskId, TaskService};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use self::client::Call;

/// Waits until this is so, within a bound.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), wait).await;
    assert!(waited.is_ok(), "in vain: {what}");
}

/// The service within this process, on a port and with a store of its own.
pub struct TestApp {
    pub address: SocketAddr,
    tasks: TaskService,
    stop: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
}

impl TestApp {
    /// A stand-in, as `kootask dev` is, with memory for a store.
    pub async fn dev() -> Self {
        Self::start("", Defaults::Dev).await
    }

    /// The service with this configuration file; `server.listen` is set here,
    /// and the store is memory unless the file names one.
    pub async fn start(toml: &str, defaults: Defaults) -> Self {
        Self::start_at(toml, defaults, Arc::new(SystemClock)).await
    }

    /// As [`TestApp::start`], with the store at this URL.
    pub async fn start_on(store: &str, toml: &str, defaults: Defaults) -> Self {
        Self::start(&format!("[store]\nurl = \"{store}\"\n{toml}"), defaults).await
    }

    /// As [`TestApp::start`], with a clock of the test's.
    pub async fn start_at(toml: &str, defaults: Defaults, clock: SharedClock) -> Self {
        let mut config = Config::from_toml(toml, defaults).unwrap();
        config.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        if !toml.contains("[store]") {
            config.store.url = StoreUrl::Memory;
        }
        // Where nothing is said of it, a task does what the test says.
        if let Some(dev) = config.dev.as_mut().filter(|_| !toml.contains("[dev]")) {
            dev.progress = Progress::MANUAL;
        }
        let app = App::build(&config, clock).await.unwrap();
        let tasks = app.tasks();
        let timing = Timing {
            keep_alive: config.server.keep_alive,
            drain_delay: config.server.drain_delay,
            shutdown_grace: config.server.shutdown_grace,
        };
        let server = Server::bind(app, config.server.listen, timing).unwrap();
        let address = server.address().unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(server.run(
            async {
                let _ = stopped.await;
            },
            std::future::pending(),
        ));
        Self {
            address,
            tasks,
            stop,
            served,
        }
    }

    /// A call of this service.
    pub fn call(&self, method: &str, target: &str) -> Call {
        Call::new(self.address, method, target)
    }

    /// A create call with the app-auth headers and this body.
    pub fn create(&self, body: &str) -> Call {
        Call::create(self.address, body)
    }

    /// A read call with the app-auth headers.
    pub fn read(&self, target: &str) -> Call {
        self.call("GET", target)
            .header("X-User-Id", client::USER)
            .at(Timestamp::now())
    }

    /// A call of a worker's, with this body.
    pub fn worker(&self, path: &str, body: &serde_json::Value) -> Call {
        self.call("POST", path)
            .bearer("a-worker")
            .header("Content-Type", "application/json")
            .body(body.to_string())
    }

    /// A call with the app-auth headers and without a body.
    pub fn post(&self, target: &str) -> Call {
        self.call("POST", target)
            .header("X-User-Id", client::USER)
            .at(Timestamp::now())
    }

    /// The tasks, past HTTP.
    pub fn tasks(&self) -> &TaskService {
        &self.tasks
    }

    /// A call of the stand-in's own, with this JSON body; a `GET` without one.
    pub async fn control(&self, method: &str, path: &str, body: &str) -> client::Answer {
        let call = self.call(method, &format!("/kootask/dev/{path}"));
        let call = if body.is_empty() {
            call
        } else {
            call.header("Content-Type", "application/json").body(body)
        };
        call.send().await
    }

    /// A task of this tenant, as it is kept.
    pub async fn kept(&self, tenant: &str, id: i64) -> Task {
        let tenant = tenant.parse::<Identifier>().unwrap().into();
        let id = TaskId::new(id).unwrap();
        self.tasks.find(&tenant, id).await.unwrap().unwrap()
    }

    /// Lets a task take a step of its life.
    pub async fn step(&self, id: i64, step: Step) {
        self.apply(id, Command::Step(step)).await;
    }

    /// Applies a command to a task.
    pub async fn apply(&self, id: i64, command: Command) {
        let target = Target {
            id: TaskId::new(id).unwrap(),
            scope: Scope::everything(),
        };
        self.tasks.apply(target, command).await.unwrap();
    }

    /// Shuts the service down as SIGTERM would, and waits for its end.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        self.served.await.unwrap().unwrap();
    }
}
