//! Schemas: the embedded, versioned migrations of the stores that speak SQL.
//!
//! A migration says in its name which programs may still run on what it makes of a
//! schema: those that know the migrations up to `N` and later ones where the name is
//! `0007_DESCRIPTION_since_N.sql`, and only those that know it itself where it is
//! none such. sqlx keeps the name in the database, so a program that is older than
//! the schema can tell, and a rolling upgrade can be stopped and turned back: expand
//! the schema (`since` the version before), deploy, contract it with a later version.

use sqlx::migrate::{MigrateError, Migrator};

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
    /// The schema of a PostgreSQL database cannot be read or migrated.
    #[error("{}", in_words(.0))]
    Postgres(#[from] sqlx::Error),
    /// The schema of a SQLite database cannot be read or migrated.
    #[error("the database says: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A migration of a SQLite database failed.
    #[error("migration {version} failed: the database says: {error}")]
    Migration {
        /// The version of the migration.
        version: i64,
        /// Why.
        error: rusqlite::Error,
    },
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
        Self::Postgres(error.into())
    }
}

/// A schema that is up to date, or about to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The version that it had before; 0 where there was none.
    pub from: i64,
    /// The version that it has now.
    pub to: i64,
}

/// The table of the migrations that a database has had; sqlx's own.
pub(super) const VERSIONS: &str = "_sqlx_migrations";

/// A migration that a database has had: a row of [`VERSIONS`].
#[derive(sqlx::FromRow)]
pub(super) struct Applied {
    pub(super) version: i64,
    /// The words of its name.
    pub(super) description: String,
    pub(super) checksum: Vec<u8>,
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

/// What is to be made of a schema that has had these migrations: where it is
/// behind, what this program needs, if it may be migrated.
pub(super) fn plan(
    applied: &[Applied],
    migrations: &Migrator,
    migrate: bool,
) -> Result<Migrated, SchemaError> {
    let found = version(applied, migrations)?;
    let known = newest(migrations);
    if found < known && !migrate {
        return Err(SchemaError::Behind { found, known });
    }
    if found > known {
        let oldest = applied
            .iter()
            .map(|applied| oldest(applied.version, &applied.description));
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
    Ok(Migrated {
        from: found,
        to: found.max(known),
    })
}

/// The newest version that this program knows.
fn newest(migrations: &Migrator) -> i64 {
    let known = migrations.iter().map(|migration| migration.version);
    known.max().unwrap_or(0)
}

/// The schema's version; 0 where there is none.
fn version(applied: &[Applied], migrations: &Migrator) -> Result<i64, SchemaError> {
    let known = newest(migrations);
    let is_ours = |applied: &Applied| {
        migrations.iter().any(|migration| {
            migration.version == applied.version && migration.checksum == applied.checksum
        })
    };
    let of_known = applied.iter().filter(|applied| applied.version <= known);
    if let Some(other) = of_known.clone().find(|applied| !is_ours(applied)) {
        return Err(SchemaError::Altered {
            version: other.version,
        });
    }
    // Nobody has a later one without the first.
    let first = migrations.iter().map(|migration| migration.version).min();
    let has_first = applied.iter().any(|applied| Some(applied.version) == first);
    if !applied.is_empty() && !has_first {
        return Err(SchemaError::AnotherPrograms {
            table: VERSIONS.to_owned(),
        });
    }
    let found = applied.iter().map(|applied| applied.version).max();
    Ok(found.unwrap_or(0))
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
