//! The settings: defaults, then the TOML file, then the environment, then the
//! arguments; read whole and judged whole at start.
//!
//! A section is a file of this folder and a key is a field in it, declared once
//! ([`mod@section`]); `config/default.toml` is made from them.

mod auth;
mod dev;
mod directory;
mod id;
mod jwt;
mod limits;
mod names;
mod reading;
mod reference;
mod secret;
mod section;
mod server;
mod source;
mod store;
mod tasks;
mod tree;
mod value;
mod warnings;

use std::fmt;
use std::path::{Path, PathBuf};

pub use self::auth::{AppConfig, AuthConfig, TokenConfig};
pub use self::dev::DevConfig;
pub use self::directory::DirectoryConfig;
pub use self::id::IdConfig;
pub use self::jwt::JwtConfig;
pub use self::limits::LimitsConfig;
pub use self::reading::Mistake;
use self::reading::{Reading, Table};
pub use self::secret::{read_secret, secret_of};
use self::section::{Section, section};
pub use self::server::{OpsListen, ServerConfig};
pub use self::source::{Loaded, Source};
pub use self::store::StoreConfig;
pub use self::tasks::TasksConfig;
pub use self::tree::Place;
use self::tree::{Content, Entries, Node};

section! {
    /// The settings in force.
    pub struct Config {
        /// `[server]`
        pub server: ServerConfig,
        /// `[store]`
        pub store: StoreConfig,
        /// `[id]`
        pub id: IdConfig,
        /// `[tasks]`
        pub tasks: TasksConfig,
        /// `[directory]`
        pub directory: DirectoryConfig,
        /// `[limits]`
        pub limits: LimitsConfig,
        /// `[auth]`
        pub auth: AuthConfig,
        /// `[dev]`
        pub dev: Option<DevConfig>,
    }
}

/// What `dev` and `serve` differ in when nothing is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defaults {
    /// The local stand-in.
    Dev,
    /// The real thing.
    Serve,
}

/// A setting given as an argument of the command line.
#[derive(Clone)]
pub struct Argument {
    /// The setting, as in `server.listen`.
    pub key: &'static str,
    /// The argument, as in `--listen`.
    pub name: &'static str,
    /// The value. It may hold a password.
    pub value: String,
}

impl fmt::Debug for Argument {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, name, .. } = self;
        write!(formatter, "Argument({name}, {key})")
    }
}

impl Argument {
    /// What is wrong with the value taken by itself, if anything is; without
    /// the value.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let mut entries = Entries::new();
        tree::add_argument(&mut entries, self.key, self.node());
        let (_, reading) = Config::judge(entries, Defaults::Dev);
        let mistake = reading
            .mistakes
            .into_iter()
            .find(|mistake| mistake.key == self.key);
        mistake.map(|mistake| mistake.problem)
    }

    fn node(&self) -> Node {
        Node {
            place: Place::Argument(self.name),
            content: Content::Text(self.value.clone()),
        }
    }
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(
        "cannot read the configuration file {}, given with --config or KOOTASK_CONFIG: {problem}. \
         «kootask config default» prints one to start from",
        path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The file is no TOML.
    #[error("the configuration is no TOML: {place}: {problem}")]
    NotToml {
        /// Where.
        place: Place,
        /// What is wrong there.
        problem: String,
    },
    /// A variable's name cannot be read.
    #[error("an environment variable whose name begins with KOOTASK__ goes on in what is no UTF-8")]
    NameNotText,
    /// Some settings are wrong.
    #[error("{0}")]
    Invalid(InvalidSettings),
}

/// Every setting that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSettings(pub Vec<Mistake>);

impl fmt::Display for InvalidSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the configuration is invalid:")?;
        for mistake in &self.0 {
            write!(formatter, "\n  {mistake}")?;
        }
        Ok(())
    }
}

impl Config {
    /// Reads the file, if one is given, the environment and the arguments, and
    /// judges every setting.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]; [`ConfigError::Invalid`] names every mistake.
    pub fn load(
        file: Option<&Path>,
        defaults: Defaults,
        arguments: impl IntoIterator<Item = Argument>,
    ) -> Result<Self, ConfigError> {
        Source {
            file: file.map(Path::to_owned),
            defaults,
            arguments: arguments.into_iter().collect(),
            apps: Vec::new(),
        }
        .load()
        .config
    }

    /// As [`Config::load`], from the text of a file and without environment.
    ///
    /// # Errors
    ///
    /// As [`Config::load`].
    pub fn from_toml(text: &str, defaults: Defaults) -> Result<Self, ConfigError> {
        Self::of(tree::of_toml(text, None)?, defaults).config
    }

    /// The reference of every key, as a file that changes nothing.
    #[must_use]
    pub fn reference() -> String {
        reference::reference(Self::KEYS)
    }

    /// The keys whose values differ from those of `other`: a list, such as
    /// `auth.apps`, as one.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut keys = Vec::new();
        Section::differences(self, other, "", &mut keys);
        keys
    }

    fn of(entries: Entries, defaults: Defaults) -> Loaded {
        let (config, reading) = Self::judge(entries, defaults);
        let config = match config {
            Some(config) if reading.mistakes.is_empty() => Ok(config),
            _ => Err(ConfigError::Invalid(InvalidSettings(reading.mistakes))),
        };
        Loaded {
            config,
            files: reading.files,
        }
    }

    fn judge(entries: Entries, defaults: Defaults) -> (Option<Self>, Reading) {
        let mut reading = Reading {
            defaults,
            all_keys: Self::KEYS,
            mistakes: Vec::new(),
            files: Vec::new(),
        };
        let config = <Self as Section>::read(Table::top(entries, &mut reading));
        (config, reading)
    }
}

impl fmt::Display for Config {
    /// The settings in force as TOML, with secrets redacted.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written().fmt(formatter)
    }
}
