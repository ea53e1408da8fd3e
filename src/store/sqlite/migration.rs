//! Migrating. Which migrations a database has had is in sqlx's table and as sqlx
//! writes it, since every version of this program can read that.

use std::path::Path;
use std::time::Instant;

use rusqlite::{Connection, OpenFlags, params};
use sqlx::migrate::{Migration, Migrator};

use crate::store::schema::{self, Applied, Migrated, SchemaError};

static MIGRATIONS: Migrator = sqlx::migrate!("src/store/sqlite/migrations");

const CREATE_VERSIONS: &str = "CREATE TABLE IF NOT EXISTS _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
)";

/// Sees to it that the schema of the database at `path` is up to date, if it may by
/// migrating it. The file is there and locked. Blocks.
pub(super) fn prepare(path: &Path, migrate: bool) -> Result<Migrated, SchemaError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    let applied = applied(&connection)?;
    let migrated = schema::plan(&applied, &MIGRATIONS, migrate)?;
    if migrated.from < migrated.to {
        run(&mut connection, &applied)?;
    }
    connection.close().map_err(|(_, error)| error)?;
    Ok(migrated)
}

/// The migrations that the database has had.
fn applied(connection: &Connection) -> rusqlite::Result<Vec<Applied>> {
    if !connection.table_exists(None, schema::VERSIONS)? {
        return Ok(Vec::new());
    }
    connection
        // The column takes texts, too.
        .prepare("SELECT version, description, CAST(checksum AS BLOB) FROM _sqlx_migrations")?
        .query_map([], |row| {
            Ok(Applied {
                version: row.get(0)?,
                description: row.get(1)?,
                checksum: row.get(2)?,
            })
        })?
        .collect()
}

/// Applies the migrations that the database has not had.
fn run(connection: &mut Connection, applied: &[Applied]) -> Result<(), SchemaError> {
    connection.execute(CREATE_VERSIONS, [])?;
    for migration in MIGRATIONS.iter() {
        let version = migration.version;
        if applied.iter().all(|applied| applied.version != version) {
            apply(connection, migration)
                .map_err(|error| SchemaError::Migration { version, error })?;
        }
    }
    Ok(())
}

fn apply(connection: &mut Connection, migration: &Migration) -> rusqlite::Result<()> {
    let begun = Instant::now();
    let transaction = connection.transaction()?;
    transaction.execute_batch(migration.sql.as_str())?;
    transaction.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (?1, ?2, TRUE, ?3, ?4)",
        params![
            migration.version,
            migration.description,
            migration.checksum,
            i64::try_from(begun.elapsed().as_nanos()).unwrap_or(i64::MAX),
        ],
    )?;
    transaction.commit()
}
