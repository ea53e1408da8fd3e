//! Migrating: once, however many instances start at the same time.
//!
//! sqlx would lock with an advisory lock, which distributed engines lack. Here
//! the one row of a table is locked: for as long as its transaction, and the
//! connection of that, lives.

use std::io;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions, Connection, Executor};

use super::connection::CONNECT_TIMEOUT;
use super::url::PostgresUrl;
use crate::store::schema::{self, Migrated, SchemaError};

/// How long another instance's migration is waited for.
const LOCK_TIMEOUT: &str = "10min";
/// How often creating the lock's table is tried: PostgreSQL can refuse it to all
/// but one of those who try at the same moment.
const LOCK_ATTEMPTS: u32 = 20;

fn migrations() -> Migrator {
    let mut migrations = sqlx::migrate!("src/store/postgres/migrations");
    migrations.set_locking(false);
    migrations
}

/// Sees to it that the schema is up to date, if it may by migrating it.
pub(super) async fn prepare(url: &PostgresUrl, migrate: bool) -> Result<Migrated, SchemaError> {
    let mut connection = connect(url).await?;
    let migrations = migrations();
    let migrated = schema::prepare(&mut connection, &migrations, migrate, async |connection| {
        let mut lock = connect(url).await?;
        create_lock(&mut lock).await?;
        let mut locked = lock.begin().await?;
        let timeout = format!("SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'");
        locked.execute(sqlx::AssertSqlSafe(timeout)).await?;
        locked
            .execute("SELECT id FROM migration_lock FOR UPDATE")
            .await?;
        migrations.run(connection).await?;
        locked.commit().await?;
        Ok(lock.close().await?)
    })
    .await?;
    connection.close().await?;
    Ok(migrated)
}

/// Not a store's session: a migration may take its time. Only to be reached the
/// database may not, for one that is out of reach says nothing.
async fn connect(url: &PostgresUrl) -> Result<PgConnection, sqlx::Error> {
    let options = url.options()?;
    tokio::time::timeout(CONNECT_TIMEOUT, options.connect())
        .await
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

async fn create_lock(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut attempt = 1_u32;
    loop {
        let created = connection
            .execute(
                "CREATE TABLE IF NOT EXISTS migration_lock (id integer PRIMARY KEY);
                 INSERT INTO migration_lock VALUES (1) ON CONFLICT DO NOTHING",
            )
            .await;
        match created {
            Err(sqlx::Error::Database(_)) if attempt < LOCK_ATTEMPTS => {
                attempt = attempt.saturating_add(1);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            created => return created.map(|_| ()),
        }
    }
}
