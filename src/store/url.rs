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
            Some(("sqlite", rest)) => match rest.strip_prefix("//") {
                Some(path) if !path.is_empty() && !path.ends_with('/') => {
                    Ok(Self::Sqlite(path.into()))
                }
                _ => Err("a SQLite store is written sqlite://PATH"),
            },
            Some(("postgres" | "postgresql", _)) => text.parse().map(Self::Postgres),
            _ => Err("must be \"memory:\", \"sqlite://PATH\" or \"postgres://…\""),
        }
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
