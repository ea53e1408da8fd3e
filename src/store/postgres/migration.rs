//! Migrating: once, however many instances start at the same time.
//!
//! sqlx would lock with an advisory lock, which distributed engines lack. Here
//! the one row of a table is locked: for as long as its transaction, and the
//! connection of that, lives.

use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor, Postgres, Transaction};

use super::connection::Database;
use crate::store::schema::{self, Applied, Migrated, SchemaError};

/// How long another instance's migration is waited for.
const LOCK_TIMEOUT: &str = "10min";
const LOCK: &str = "SELECT id FROM migration_lock FOR UPDATE";
/// The code of the error of who waited for a lock as long as it may.
const LOCKED: &str = "55P03";
/// The code of the error of who asks a table that does not exist.
const NO_TABLE: &str = "42P01";
/// A table or the like in the schema that this program would use, unless an
/// extension made it: there is none before the first migration, which comes whole.
const ANOTHER_PROGRAMS: &str = "
SELECT relname::text FROM pg_class AS found
WHERE relnamespace = current_schema()::regnamespace
  AND relkind IN ('r', 'p', 'v', 'm', 'f')
  AND relname NOT IN ('migration_lock', '_sqlx_migrations')
  AND NOT EXISTS (
      SELECT FROM pg_depend
      WHERE classid = 'pg_class'::regclass AND objid = found.oid AND deptype = 'e'
  )
ORDER BY relname LIMIT 1";
/// How often creating the lock's table is tried: PostgreSQL can refuse it to all
/// but one of those who try at the same moment.
const LOCK_ATTEMPTS: u32 = 20;

fn migrations() -> Migrator {
    let mut migrations = sqlx::migrate!("src/store/postgres/migrations");
    migrations.set_locking(false);
    migrations
}

/// Sees to it that the schema is up to date, if it may by migrating it; with this
/// connection and another one.
pub(super) async fn prepare(
    database: &Database,
    connection: &mut PgConnection,
    migrate: bool,
) -> Result<Migrated, SchemaError> {
    let migrations = migrations();
    let applied = applied(connection).await?;
    let migrated = schema::plan(&applied, &migrations, migrate)?;
    if migrated.from < migrated.to {
        if migrated.from == 0 {
            refuse_another_programs(connection).await?;
        }
        let mut holder = database.connect_without_limits().await?;
        create_lock(&mut holder).await?;
        let lock = lock(&mut holder).await?;
        migrations.run(connection).await?;
        lock.commit().await?;
        holder.close().await?;
    }
    Ok(migrated)
}

/// The migrations that the database has had.
async fn applied(connection: &mut PgConnection) -> Result<Vec<Applied>, sqlx::Error> {
    let applied = sqlx::query_as("SELECT version, description, checksum FROM _sqlx_migrations")
        .fetch_all(connection)
        .await;
    match applied {
        // There is no table of versions: nothing has been migrated yet.
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(NO_TABLE) => {
            Ok(Vec::new())
        }
        applied => applied,
    }
}

/// Refuses a database that is not empty, though nothing was migrated.
async fn refuse_another_programs(connection: &mut PgConnection) -> Result<(), SchemaError> {
    let table: Option<String> = sqlx::query_scalar(ANOTHER_PROGRAMS)
        .fetch_optional(&mut *connection)
        .await?;
    match table {
        // Where another instance has migrated meanwhile, it is not another program's.
        Some(table) if applied(connection).await?.is_empty() => {
            Err(SchemaError::AnotherPrograms { table })
        }
        _ => Ok(()),
    }
}

/// Takes the lock, for as long as the transaction lives.
async fn lock(holder: &mut PgConnection) -> Result<Transaction<'_, Postgres>, sqlx::Error> {
    let mut transaction = holder.begin().await?;
    transaction
        .execute(sqlx::raw_sql(
            "SET LOCAL lock_timeout = '1s'; SAVEPOINT unlocked",
        ))
        .await?;
    match transaction.execute(LOCK).await {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(LOCKED) => {
            tracing::warn!(
                "waits for another instance, which migrates the database, {LOCK_TIMEOUT} at most"
            );
            let again = format!("ROLLBACK TO unlocked; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'");
            transaction
                .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(again)))
                .await?;
            transaction.execute(LOCK).await?;
        }
        locked => {
            locked?;
        }
    }
    Ok(transaction)
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
