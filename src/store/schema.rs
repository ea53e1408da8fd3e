//! Schemas: the embedded, versioned migrations of the stores that speak SQL.
//!
//! A migration says in its name which programs may still run on what it makes of a
//! schema: those that know the migrations up to `N` and later ones where the name is
//! `0007_DESCRIPTION_since_N.sql`, and only those that know it itself where it is
//! none such. sqlx keeps the name in the database, so a program that is older than
//! the schema can tell, and a rolling upgrade can be stopped and turned back: expand
//! the schema (`since` the version before), deploy, contract it with a later version.

use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

/// Why a schema is not what this program needs.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A later program has migrated the database, and this one must not run on it.
    #[error(
        "the database is newer than this program: its schema has version {found}, which a program \
         must know versions up to {oldest} to run on, and this one knows them up to {known}; run \
         a newer kootask"
    )]
    Newer {
        /// The newest version in the database.
        found: i64,
        /// The newest version that a program must know.
        oldest: i64,
        /// The newest version of this program.
        known: i64,
    },
    /// The schema is behind, and migrating is switched off.
    #[error(
        "the schema has version {found}, and this program needs {known}; run «kootask migrate», \
         or set store.migrate = true"
    )]
    Behind {
        /// The newest version in the database; 0 where there is none.
        found: i64,
        /// The newest version of this program.
        known: i64,
    },
    /// A migration that was applied is not the one that this program knows.
    #[error(
        "the schema is not this program's: its migration {version} was another one; run the \
         kootask that made it"
    )]
    Altered {
        /// The version of the migration.
        version: i64,
    },
    /// There is something in the database that this program did not make.
    #[error("the database is another program's: it has «{table}»; give kootask an empty database")]
    AnotherPrograms {
        /// A table or the like.
        table: String,
    },
    /// The schema cannot be read or migrated.
    #[error("{}", in_words(.0))]
    Failed(#[from] sqlx::Error),
}

/// An error for whoever runs the program: as sqlx says it, it ends in the line of
/// the database's own source.
fn in_words(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => format!("the database says: {}", error.message()),
        sqlx::Error::Migrate(error) => match &**error {
            MigrateError::Execute(error) => in_words(error),
            MigrateError::ExecuteMigration(error, version) => {
                format!("migration {version} failed: {}", in_words(error))
            }
            error => error.to_string(),
        },
        error => error.to_string(),
    }
}

impl From<MigrateError> for SchemaError {
    fn from(error: MigrateError) -> Self {
        Self::Failed(error.into())
    }
}

/// A schema that is up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The version that it had before; 0 where there was none.
    pub from: i64,
    /// The version that it has now.
    pub to: i64,
}

/// The table of the versions that were applied; sqlx's own.
const VERSIONS: &str = "_sqlx_migrations";

/// What databases say where a table does not exist: PostgreSQL, and SQLite of
/// every statement that it does not understand.
const NO_TABLE: [&str; 2] = ["42P01", "1"];

/// A connection whose migrations can be listed with their names.
pub(super) trait SchemaConnection: Migrate {
    /// The versions that were applied, each with the words of its name.
    fn names(&mut self) -> impl Future<Output = sqlx::Result<Vec<(i64, String)>>> + Send;
}

const NAMES: &str = "SELECT version, description FROM _sqlx_migrations";

impl SchemaConnection for SqliteConnection {
    async fn names(&mut self) -> sqlx::Result<Vec<(i64, String)>> {
        sqlx::query_as(NAMES).fetch_all(self).await
    }
}

impl SchemaConnection for PgConnection {
    async fn names(&mut self) -> sqlx::Result<Vec<(i64, String)>> {
        sqlx::query_as(NAMES).fetch_all(self).await
    }
}

/// The newest version that a program must know to run on a schema with this
/// migration, by the words of its name.
fn oldest(version: i64, name: &str) -> i64 {
    let named = name
        .rsplit_once(" since ")
        .map(|(_, number)| number.parse());
    match named {
        Some(Ok(oldest)) if oldest < version => oldest,
        _ => version,
    }
}

/// Sees to it that the schema is up to date: where it is behind, by `run`, which
/// runs the migrations and keeps others from doing so at the same time, or not
/// at all unless it may be migrated.
pub(super) async fn prepare<C: SchemaConnection>(
    connection: &mut C,
    migrations: &Migrator,
    migrate: bool,
    run: impl AsyncFnOnce(&mut C) -> Result<(), SchemaError>,
) -> Result<Migrated, SchemaError> {
    match check(connection, migrations).await {
        Err(SchemaError::Behind { found, known }) if migrate => {
            run(connection).await?;
            Ok(Migrated {
                from: found,
                to: known,
            })
        }
        Err(error) => Err(error),
        Ok(version) => Ok(Migrated {
            from: version,
            to: version,
        }),
    }
}

/// The schema's version, if it is one that this program may run on.
async fn check<C: SchemaConnection>(
    connection: &mut C,
    migrations: &Migrator,
) -> Result<i64, SchemaError> {
    let found = version(connection, migrations).await?;
    let known = migrations.iter().map(|migration| migration.version).max();
    let known = known.unwrap_or(0);
    if found > known {
        let names = connection.names().await?;
        let oldest = names.iter().map(|(version, name)| oldest(*version, name));
        let oldest = oldest.max().unwrap_or(found);
        if oldest > known {
            return Err(SchemaError::Newer {
                found,
                oldest,
                known,
            });
        }
        tracing::warn!(
            found,
            known,
            "the schema is a newer program's, which this one may still run on"
        );
    }
    if found < known {
        return Err(SchemaError::Behind { found, known });
    }
    Ok(found)
}

/// The schema's version, as far as this program knows it; 0 where there is none.
pub(super) async fn version<C: Migrate>(
    connection: &mut C,
    migrations: &Migrator,
) -> Result<i64, SchemaError> {
    let applied = match connection.list_applied_migrations(VERSIONS).await {
        Ok(applied) => applied,
        // There is no table of versions: nothing has been migrated yet.
        Err(MigrateError::Execute(sqlx::Error::Database(error)))
            if error.code().is_some_and(|code| NO_TABLE.contains(&&*code)) =>
        {
            Vec::new()
        }
        Err(error) => return Err(error.into()),
    };
    for migration in migrations.iter() {
        let applied = applied.iter().find(|one| one.version == migration.version);
        if applied.is_some_and(|applied| applied.checksum != migration.checksum) {
            return Err(SchemaError::Altered {
                version: migration.version,
            });
        }
    }
    let found = applied.iter().map(|one| one.version);
    // Nobody has a later one without the first.
    let first = migrations.iter().map(|migration| migration.version).min();
    if found.clone().count() > 0 && !found.clone().any(|version| Some(version) == first) {
        return Err(SchemaError::AnotherPrograms {
            table: VERSIONS.to_owned(),
        });
    }
    Ok(found.max().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_which_programs_may_still_run() {
        assert_eq!(oldest(7, "retry policy since 5"), 5);
        assert_eq!(oldest(7, "since when since 0006"), 6);
        for name in [
            "tasks",
            "retry policy since",
            "since 5",
            "a since x",
            "a since 9",
        ] {
            assert_eq!(oldest(7, name), 7, "{name}");
        }
    }
}
