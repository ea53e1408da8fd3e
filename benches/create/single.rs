//! What group commit is measured against: the service with a statement and a
//! commit for each create, through a pool of [`POOL`] connections.
//!
//! Everything around the store is the service's own. It runs in a process of its
//! own (the bench executable with the hidden subcommand [`SUBCOMMAND`]).

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use deadpool::managed::{Manager, Metrics, Object, Pool, RecycleResult};
use futures_util::future::BoxFuture;
use kootask::app::App;
use kootask::auth::stand_in::{self, APP_ID, APP_SECRET};
use kootask::config::{AppConfig, Config, Defaults};
use kootask::server::{Server, Timing};
use kootask::store::{self, StoreUrl};
use kootask::task::attempt::History;
use kootask::task::claim::{ClaimError, ClaimRequest};
use kootask::task::clock::SystemClock;
use kootask::task::id::{IdError, IdGenerator};
use kootask::task::idempotency::Idempotency;
use kootask::task::import::ImportFailure;
use kootask::task::life_cycle::Command;
use kootask::task::list::Page;
use kootask::task::repository::{ApplyError, Created, StoreError, TaskRepository};
use kootask::task::scope::Target;
use kootask::task::{Identifier, NewTask, Task, TaskId, TaskParameters, TenantId};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Row};

/// The hidden subcommand; its arguments are the address to listen on and the
/// URL of the database.
pub(crate) const SUBCOMMAND: &str = "single-server";

/// The connections of the pool.
const POOL: usize = 16;

/// The same rows, key and task, as the service writes for a create.
const INSERT: &str = "
WITH claimed AS (
    INSERT INTO idempotency AS known (key_digest, body_digest, node, task_id)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (key_digest) DO UPDATE SET
        body_digest = excluded.body_digest, node = excluded.node, task_id = excluded.task_id
    WHERE known.task_id < $5
    RETURNING task_id
)
INSERT INTO task
    (node, id, tenant_id, user_id, task_type, status, locale, init_params, src_user_id)
SELECT $3, $4, $6, $7, $8, 0, $9, $10, $11 FROM claimed
RETURNING id";

/// Serves until SIGTERM.
pub(crate) fn serve(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [listen, url] = arguments else {
        return Err("which address to listen on, and which database?".into());
    };
    let mut config = Config::from_toml("", Defaults::Dev)?;
    config.server.listen = listen.parse::<SocketAddr>()?;
    config.auth.apps.push(AppConfig {
        app_id: APP_ID.parse()?,
        tenant_id: stand_in::tenant(),
        app_secret: APP_SECRET.into(),
    });
    let _guard = kootask::logging::start()?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            store::migrate(&url.parse::<StoreUrl>()?).await?;
            let clock = Arc::new(SystemClock);
            let repository = Arc::new(SingleStore {
                ids: IdGenerator::new(1, None, clock.clone()),
                pool: Pool::builder(Connect(url.parse()?))
                    .max_size(POOL)
                    .build()?,
            });
            let app = App::with_repository(&config, clock, repository)?;
            let mut terminate =
                tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
            let stop = async move {
                let _ = terminate.recv().await;
            };
            let server = Server::bind(app, config.server.listen, Timing::default())?;
            Ok(server.run(stop, std::future::pending()).await?)
        })
}

/// Makes connections, and takes each back as it is.
struct Connect(PgConnectOptions);

impl Manager for Connect {
    type Type = PgConnection;
    type Error = sqlx::Error;

    async fn create(&self) -> sqlx::Result<PgConnection> {
        self.0.connect().await
    }

    async fn recycle(&self, _: &mut PgConnection, _: &Metrics) -> RecycleResult<sqlx::Error> {
        Ok(())
    }
}

/// Creates tasks, one a statement; nothing else is asked of it.
struct SingleStore {
    ids: IdGenerator,
    pool: Pool<Connect>,
}

impl SingleStore {
    async fn insert(&self, task: NewTask, key: Idempotency) -> Result<Created, StoreError> {
        let mut connection: Object<Connect> = self.pool.get().await.map_err(failed)?;
        let id = loop {
            match self.ids.next_id() {
                Err(IdError::Wait(wait)) => tokio::time::sleep(wait).await,
                id => break id?,
            }
        };
        // The benchmark's load is transfers alone.
        let TaskParameters::Transfer {
            src_user_id,
            dst_user_id,
        } = &task.parameters
        else {
            return Err(StoreError::Closed);
        };
        let init_params = serde_json::json!({
            "srcUserId": src_user_id.as_str(), "dstUserId": dst_user_id.as_str(),
        });
        let row = sqlx::query(INSERT)
            .bind(&key.key[..])
            .bind(&key.body[..])
            .bind(i32::from(id.node()))
            .bind(id.get())
            .bind(
                TaskId::first_at(kootask::task::idempotency::expiry(jiff::Timestamp::now())).get(),
            )
            .bind(task.tenant_id.as_str())
            .bind(task.user_id.as_str())
            .bind(TRANSFER)
            .bind(task.locale)
            .bind(init_params.to_string())
            .bind(src_user_id.as_str())
            .fetch_one(&mut *connection)
            .await?;
        let created: i64 = row.try_get(0)?;
        Ok(Created::New(TaskId::new(created).unwrap()))
    }
}

/// The number of a transfer in the column `task_type`.
const TRANSFER: i16 = 0;

fn failed(error: impl Error + Send + Sync + 'static) -> StoreError {
    StoreError::Failed(Arc::new(error))
}

/// The answer to what is not measured.
fn not_asked<'a, T: Send + 'a>() -> BoxFuture<'a, Result<T, StoreError>> {
    Box::pin(std::future::ready(Err(StoreError::Closed)))
}

impl TaskRepository for SingleStore {
    fn create(
        &self,
        task: NewTask,
        idempotency: Option<Idempotency>,
    ) -> BoxFuture<'_, Result<Created, StoreError>> {
        Box::pin(async move {
            match idempotency {
                Some(key) => self.insert(task, key).await,
                None => not_asked().await,
            }
        })
    }

    fn find<'a>(
        &'a self,
        _: &'a TenantId,
        _: TaskId,
    ) -> BoxFuture<'a, Result<Option<Task>, StoreError>> {
        not_asked()
    }

    fn list<'a>(
        &'a self,
        _: &'a TenantId,
        _: Page,
    ) -> BoxFuture<'a, Result<Vec<Task>, StoreError>> {
        not_asked()
    }

    fn newest_transfer<'a>(
        &'a self,
        _: &'a TenantId,
        _: &'a Identifier,
    ) -> BoxFuture<'a, Result<Option<Task>, StoreError>> {
        not_asked()
    }

    fn newest_import<'a>(
        &'a self,
        _: &'a TenantId,
        _: &'a Identifier,
    ) -> BoxFuture<'a, Result<Option<Task>, StoreError>> {
        not_asked()
    }

    fn failures<'a>(
        &'a self,
        _: &'a Task,
        _: u64,
        _: u32,
    ) -> BoxFuture<'a, Result<Vec<ImportFailure>, StoreError>> {
        not_asked()
    }

    fn history<'a>(&'a self, _: &'a Task) -> BoxFuture<'a, Result<History, StoreError>> {
        not_asked()
    }

    fn apply(&self, _: Target, _: Command) -> BoxFuture<'_, Result<Task, ApplyError>> {
        Box::pin(std::future::ready(Err(StoreError::Closed.into())))
    }

    fn claim(&self, _: ClaimRequest) -> BoxFuture<'_, Result<Vec<Task>, ClaimError>> {
        Box::pin(std::future::ready(Err(StoreError::Closed.into())))
    }

    fn drain(&self) {}

    fn reads_at_a_time(&self) -> usize {
        self.pool.status().max_size
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { self.pool.close() })
    }
}
