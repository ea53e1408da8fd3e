//! Where a PostgreSQL database is, and who asks.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

/// `postgres://USER[:PASSWORD]@HOST[:PORT]/DATABASE[?sslmode=…&sslrootcert=…]`.
///
/// Shows itself without the password.
#[derive(Clone)]
pub struct PostgresUrl {
    /// Without the password.
    url: Url,
    password: Option<SecretString>,
}

const MODE: &str = "sslmode";
const ROOT: &str = "sslrootcert";
/// The parameters that a URL may have; libpq's names and meanings.
const PARAMETERS: [&str; 4] = [MODE, ROOT, "sslcert", "sslkey"];

/// PostgreSQL's port.
const PORT: u16 = 5432;

/// What says in other programs where the database is, beside the URL or against it.
const ADDRESS_PARAMETERS: [&str; 5] = ["host", "hostaddr", "port", "user", "dbname"];

const ADDRESS: &str = "a PostgreSQL URL names host, port, user and database before the «?»; \
     the folder of a socket is written in the host's place, percent-encoded: \
     postgres://USER@%2Fvar%2Frun%2Fpostgresql/DATABASE";

const FORM: &str = "a PostgreSQL store is written \
     postgres://USER[:PASSWORD]@HOST[:PORT]/DATABASE[?sslmode=MODE]";

impl PostgresUrl {
    /// The password, if there is one.
    #[must_use]
    pub const fn password(&self) -> Option<&SecretString> {
        self.password.as_ref()
    }

    /// The same with this password.
    #[must_use]
    pub fn with_password(mut self, password: SecretString) -> Self {
        self.password = Some(password);
        self
    }

    /// What a connection needs. Their `Debug` shows the password: keep them out
    /// of sight.
    pub(super) fn options(&self) -> Result<PgConnectOptions, sqlx::Error> {
        let mut options = PgConnectOptions::from_url(&self.url)?;
        // What the environment and `~/.pgpass` say for other programs is not for
        // this one; sqlx sends no password as an empty one.
        let password = self.password.as_ref();
        options = options.password(password.map_or("", ExposeSecret::expose_secret));
        if self.parameter(MODE).is_none() {
            options = options.ssl_mode(PgSslMode::Prefer);
        }
        if self.url.port().is_none() {
            options = options.port(PORT);
        }
        Ok(options)
    }

    /// The files that a connection needs.
    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        let files = PARAMETERS.iter().filter(|name| **name != MODE);
        files.filter_map(|name| self.parameter(name).map(PathBuf::from))
    }

    fn parameter(&self, name: &str) -> Option<String> {
        let mut parameters = self.url.query_pairs();
        let found = parameters.find(|(other, _)| other == name);
        found.map(|(_, value)| value.into_owned())
    }

    /// Whether it asks for what is done.
    fn check_parameters(&self) -> Result<(), &'static str> {
        if self
            .url
            .query_pairs()
            .any(|(name, _)| !PARAMETERS.contains(&&*name))
        {
            return Err("a PostgreSQL URL may have sslmode, sslrootcert, sslcert and sslkey");
        }
        let mode = match self.parameter(MODE).map(|mode| mode.parse()) {
            // For sqlx, «allow» is the same as «disable».
            Some(Err(_) | Ok(PgSslMode::Allow)) => {
                return Err("sslmode must be disable, prefer, require, verify-ca or verify-full");
            }
            mode => mode.and_then(Result::ok),
        };
        // Whoever gives a root wants it to be looked at.
        if self.parameter(ROOT).is_some()
            && !matches!(mode, Some(PgSslMode::VerifyCa | PgSslMode::VerifyFull))
        {
            return Err("sslrootcert needs sslmode=verify-ca or sslmode=verify-full");
        }
        Ok(())
    }
}

impl FromStr for PostgresUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Before all else, for such a URL may lack what is looked for below.
        let (_, parameters) = text.split_once('?').unwrap_or_default();
        let mut parameters = url::form_urlencoded::parse(parameters.as_bytes());
        if parameters.any(|(name, _)| ADDRESS_PARAMETERS.contains(&&*name)) {
            return Err(ADDRESS);
        }
        let mut url: Url = text.parse().map_err(|_| FORM)?;
        let has_host = url.host_str().is_some_and(|host| !host.is_empty());
        let has_database = url.path().len() > 1;
        if !has_host || !has_database || url.username().is_empty() || url.fragment().is_some() {
            return Err(FORM);
        }
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(FORM);
        }
        let password = url.password().map(|password| {
            let decoded = percent_encoding::percent_decode_str(password).decode_utf8();
            decoded.map(|password| SecretString::from(password.into_owned()))
        });
        let password = password.transpose().map_err(|_| FORM)?;
        // Only a URL without a host has no place for it.
        let _ = url.set_password(None);
        let parsed = Self { url, password };
        parsed.check_parameters()?;
        parsed.options().map_err(|_| FORM)?;
        Ok(parsed)
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(formatter)
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PostgresUrl({self})")
    }
}

impl PartialEq for PostgresUrl {
    fn eq(&self, other: &Self) -> bool {
        let secret = |url: &Self| {
            let password = url.password.as_ref();
            password.map(|password| password.expose_secret().to_owned())
        };
        self.url == other.url && secret(self) == secret(other)
    }
}

impl Eq for PostgresUrl {}
