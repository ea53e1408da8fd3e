//! Where a PostgreSQL database is, and who asks.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
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
const CERTIFICATE: &str = "sslcert";
const KEY: &str = "sslkey";
/// The parameters that a URL may have; libpq's names and meanings.
const PARAMETERS: [&str; 4] = [MODE, ROOT, CERTIFICATE, KEY];

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
    ///
    /// What `PG*` variables and `~/.pgpass` say for other programs is not for this
    /// one: whatever sqlx takes from there is given here.
    pub(super) fn options(&self) -> Result<PgConnectOptions, &'static str> {
        let decoded = |text: &str| {
            let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
            decoded.map(Cow::into_owned).map_err(|_| FORM)
        };
        let host = decoded(self.url.host_str().unwrap_or_default())?;
        let password = self.password.as_ref();
        let mut options = PgConnectOptions::new_without_pgpass()
            .host(&host)
            .port(self.url.port().unwrap_or(PORT))
            .username(&decoded(self.url.username())?)
            // sqlx sends no password as an empty one.
            .password(password.map_or("", ExposeSecret::expose_secret))
            .database(&decoded(self.url.path().trim_start_matches('/'))?)
            .application_name("kootask")
            // A proxy may refuse it, and no float is read.
            .extra_float_digits(None)
            .ssl_mode(self.ssl_mode().unwrap_or(PgSslMode::Prefer));
        options = match self.parameter(ROOT) {
            Some(root) => options.ssl_root_cert(root),
            // None but those that are trusted anyway.
            None => options.ssl_root_cert_from_pem(Vec::new()),
        };
        if let Some(certificate) = self.parameter(CERTIFICATE) {
            options = options.ssl_client_cert(certificate);
        }
        if let Some(key) = self.parameter(KEY) {
            options = options.ssl_client_key(key);
        }
        Ok(options)
    }

    /// What sqlx would take from the environment, and nobody can take back from it.
    fn check_environment(&self) -> Result<(), &'static str> {
        let is_set = |name| std::env::var_os(name).is_some();
        if is_set("PGOPTIONS") {
            return Err(
                "PGOPTIONS is set in the environment and would change the store's sessions \
                 unseen: unset it (what a session shall be set to is said in the database, by \
                 ALTER ROLE … SET)",
            );
        }
        let has_client = self.parameter(CERTIFICATE).is_some() && self.parameter(KEY).is_some();
        if (is_set("PGSSLCERT") || is_set("PGSSLKEY")) && !has_client {
            return Err(
                "PGSSLCERT or PGSSLKEY is set in the environment and would be used unseen: unset \
                 it, and give sslcert and sslkey in the URL",
            );
        }
        Ok(())
    }

    fn ssl_mode(&self) -> Option<PgSslMode> {
        self.parameter(MODE).and_then(|mode| mode.parse().ok())
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
        parsed.check_environment()?;
        parsed.options()?;
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
