//! The settings: defaults, then the TOML file, then the environment; read whole
//! and judged whole at start.
//!
//! `config/default.toml` is the reference of every key.

mod auth;
mod secret;
mod setting;
mod store;
mod table;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use config::builder::DefaultState;
use config::{ConfigBuilder, Environment, File, FileFormat, Source};
use serde::Deserialize;

pub use self::auth::{AppConfig, AuthConfig, TokenConfig};
pub use self::secret::read_secret;
use self::setting::{Problems, Setting};
pub use self::store::StoreConfig;
use self::table::Table;
use crate::auth::AuthMode;
use crate::store::StoreUrl;

/// The prefix of the environment variables: `KOOTASK__SERVER__LISTEN`.
const ENVIRONMENT_PREFIX: &str = "KOOTASK";
const ENVIRONMENT_SEPARATOR: &str = "__";

/// The settings in force.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[server]`
    pub server: ServerConfig,
    /// `[store]`
    pub store: StoreConfig,
    /// `[id]`
    pub id: IdConfig,
    /// `[auth]`
    pub auth: AuthConfig,
    /// `[directory]`
    pub directory: DirectoryConfig,
}

/// `[server]`: the listener and its limits.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where requests are taken.
    pub listen: SocketAddr,
    /// Reserved for the operations listener.
    pub ops_listen: Option<SocketAddr>,
    /// How long a request may take, from its headers to its answer.
    pub request_timeout: Duration,
    /// The most bytes a body may have.
    pub body_limit: usize,
    /// How long requests in flight may take at shutdown.
    pub shutdown_grace: Duration,
}

/// `[id]`: how task ids are made.
#[derive(Debug, Clone)]
pub struct IdConfig {
    /// This instance's node number, 0–65,535; the store's choice if `None`.
    pub node: Option<u16>,
}

/// `[directory]`: the users' names.
#[derive(Debug, Clone)]
pub struct DirectoryConfig {
    /// A CSV file with the columns `user_id` and `name`.
    pub file: Option<PathBuf>,
}

/// What `dev` and `serve` differ in when nothing is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defaults {
    /// The local stand-in.
    Dev,
    /// The real thing.
    Serve,
}

impl Defaults {
    const fn auth_mode(self) -> AuthMode {
        match self {
            Self::Dev => AuthMode::AcceptAny,
            Self::Serve => AuthMode::Verify,
        }
    }

    fn store_url(self) -> StoreUrl {
        match self {
            Self::Dev => StoreUrl::Memory,
            Self::Serve => StoreUrl::Sqlite("data/kootask.db".into()),
        }
    }
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is no TOML.
    #[error("the configuration is no TOML: line {line}: {problem}")]
    NotToml {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
    /// File and environment do not go together.
    #[error("the configuration makes no sense as a whole: a section must be a table")]
    Unusable,
    /// Some settings are wrong.
    #[error("{0}")]
    Invalid(InvalidSettings),
}

/// Every setting that is wrong, by its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSettings(pub Vec<(String, String)>);

impl fmt::Display for InvalidSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the configuration is invalid:")?;
        for (key, problem) in &self.0 {
            write!(formatter, "\n  {key}: {problem}")?;
        }
        Ok(())
    }
}

impl Config {
    /// Reads the file, if one is given, and the environment, and judges every
    /// setting. `store`, if given, goes over `store.url`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]; [`ConfigError::Invalid`] names every mistake.
    pub fn load(
        file: Option<&Path>,
        defaults: Defaults,
        store: Option<StoreUrl>,
    ) -> Result<Self, ConfigError> {
        let mut builder = config::Config::builder();
        if let Some(path) = file {
            let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
                path: path.to_owned(),
                error,
            })?;
            builder = builder.add_source(toml_source(&text)?);
        }
        let environment = Environment::with_prefix(ENVIRONMENT_PREFIX)
            .prefix_separator(ENVIRONMENT_SEPARATOR)
            .separator(ENVIRONMENT_SEPARATOR);
        Self::judge(builder.add_source(environment), defaults, store)
    }

    /// As [`Config::load`], from the text of a file and without environment.
    ///
    /// # Errors
    ///
    /// As [`Config::load`].
    pub fn from_toml(text: &str, defaults: Defaults) -> Result<Self, ConfigError> {
        let source = toml_source(text)?;
        Self::judge(config::Config::builder().add_source(source), defaults, None)
    }

    fn judge(
        sources: ConfigBuilder<DefaultState>,
        defaults: Defaults,
        store_url: Option<StoreUrl>,
    ) -> Result<Self, ConfigError> {
        let mut problems = Problems::default();
        // What the library would say may quote what it found.
        let sources = sources.build().map_err(|_| ConfigError::Unusable)?;
        let raw: RawConfig = serde_ignored::deserialize(sources, |key| {
            problems.add(key.to_string(), "there is no such setting");
        })
        .map_err(|_| ConfigError::Unusable)?;
        let id = raw.id.settings("id", &mut problems);
        let auth = raw.auth.settings("auth", &mut problems);
        let directory = raw.directory.settings("directory", &mut problems);
        let config = Self {
            server: raw
                .server
                .settings("server", &mut problems)
                .judge(&mut problems),
            store: raw.store.settings("store", &mut problems).judge(
                defaults.store_url(),
                store_url,
                &mut problems,
            ),
            id: IdConfig {
                node: id.node.optional("id.node", &mut problems),
            },
            auth: auth.judge(defaults.auth_mode(), &mut problems),
            directory: DirectoryConfig {
                file: directory.file.optional("directory.file", &mut problems),
            },
        };
        problems.into_result().map_err(ConfigError::Invalid)?;
        Ok(config)
    }
}

/// A file's text as a source. What is no TOML is told by its place: the line
/// itself may hold a secret.
fn toml_source(text: &str) -> Result<impl Source + Send + Sync + 'static, ConfigError> {
    match text.parse::<toml::Table>() {
        Ok(_) => Ok(File::from_str(text, FileFormat::Toml)),
        Err(error) => {
            let before = error
                .span()
                .and_then(|span| text.get(..span.start))
                .unwrap_or_default();
            Err(ConfigError::NotToml {
                line: before.matches('\n').count().saturating_add(1),
                problem: error.message().to_owned(),
            })
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawConfig {
    server: Table<RawServer>,
    store: Table<store::RawStore>,
    id: Table<RawId>,
    auth: Table<auth::RawAuth>,
    directory: Table<RawDirectory>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawServer {
    listen: Setting<SocketAddr>,
    ops_listen: Setting<SocketAddr>,
    request_timeout: Setting<jiff::SignedDuration>,
    body_limit: Setting<ByteSize>,
    shutdown_grace: Setting<jiff::SignedDuration>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawId {
    node: Setting<u16>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawDirectory {
    file: Setting<PathBuf>,
}

impl RawServer {
    fn judge(self, problems: &mut Problems) -> ServerConfig {
        /// The largest body that may be configured: it is held in memory.
        const MOST_BODY: u64 = 16 * 1024 * 1024;
        let body_limit = self
            .body_limit
            .or("server.body_limit", ByteSize::kib(16), problems);
        if !(1..=MOST_BODY).contains(&body_limit.as_u64()) {
            problems.add("server.body_limit", "must be between 1 B and 16 MiB");
        }
        ServerConfig {
            listen: self.listen.or(
                "server.listen",
                SocketAddr::from(([127, 0, 0, 1], 8080)),
                problems,
            ),
            ops_listen: self.ops_listen.optional("server.ops_listen", problems),
            request_timeout: self.request_timeout.duration_or(
                "server.request_timeout",
                Duration::from_secs(10),
                problems,
            ),
            body_limit: usize::try_from(body_limit.as_u64()).unwrap_or(usize::MAX),
            shutdown_grace: self.shutdown_grace.duration_or(
                "server.shutdown_grace",
                Duration::from_secs(20),
                problems,
            ),
        }
    }
}

impl fmt::Display for Config {
    /// The settings in force as TOML, with secrets redacted.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            server,
            store,
            id,
            auth,
            directory,
        } = self;
        writeln!(formatter, "[server]")?;
        writeln!(formatter, "listen = \"{}\"", server.listen)?;
        if let Some(ops_listen) = server.ops_listen {
            writeln!(formatter, "ops_listen = \"{ops_listen}\"")?;
        }
        writeln!(
            formatter,
            "request_timeout = \"{}\"",
            in_words(server.request_timeout)
        )?;
        writeln!(formatter, "body_limit = {}", server.body_limit)?;
        writeln!(
            formatter,
            "shutdown_grace = \"{}\"",
            in_words(server.shutdown_grace)
        )?;
        writeln!(formatter, "\n{store}")?;
        if let Some(node) = id.node {
            writeln!(formatter, "[id]\nnode = {node}\n")?;
        }
        if let Some(file) = &directory.file {
            writeln!(
                formatter,
                "[directory]\nfile = {}\n",
                toml_string(&file.display())
            )?;
        }
        auth.fmt(formatter)
    }
}

/// A text as TOML writes it, quoted.
fn toml_string(text: &impl fmt::Display) -> toml::Value {
    toml::Value::String(text.to_string())
}

/// A duration in the form that the file takes.
fn in_words(duration: Duration) -> String {
    jiff::SignedDuration::try_from(duration).map_or_else(
        |_| format!("{duration:?}"),
        |duration| format!("{duration:#}"),
    )
}
