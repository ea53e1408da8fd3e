//! `store.url`: which store, and where.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::postgres::PostgresUrl;

/// A store as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// `memory:`: nothing outlives the process.
    Memory,
    /// `sqlite://PATH`: a file on this machine. `sqlite://data/x.db` is
    /// relative to the working directory, `sqlite:///data/x.db` absolute.
    Sqlite(PathBuf),
    /// `postgres://…`: a database that instances share.
    Postgres(PostgresUrl),
}

impl FromStr for StoreUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("memory", _)) => Err("the store in memory is written memory:, without a name"),
            Some(("sqlite", rest)) => sqlite_path(rest).map(Self::Sqlite),
            Some(("postgres" | "postgresql", _)) => text.parse().map(Self::Postgres),
            _ => Err(
                "must be memory:, sqlite://PATH or postgres://…, such as sqlite://data/kootask.db",
            ),
        }
    }
}

/// What stands after `sqlite:` as a path. What other programs have to say about a
/// database in its URL is no part of the file's name.
fn sqlite_path(rest: &str) -> Result<PathBuf, &'static str> {
    if rest.ends_with(":memory:") || rest.contains("mode=memory") {
        return Err("the store in memory is written memory:");
    }
    if rest.contains('?') {
        return Err(
            "a SQLite store has no parameters such as ?mode=rwc: the file is made at need, and \
             one process owns it; write sqlite://PATH, such as sqlite://data/kootask.db",
        );
    }
    match rest.strip_prefix("//") {
        Some(path) if !path.is_empty() && !path.ends_with('/') => Ok(path.into()),
        _ => Err("a SQLite store is written sqlite://PATH, such as sqlite://data/kootask.db"),
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => formatter.write_str("memory:"),
            Self::Sqlite(path) => write!(formatter, "sqlite://{}", path.display()),
            Self::Postgres(url) => url.fmt(formatter),
        }
    }
}
