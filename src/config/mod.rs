//! The settings: defaults, then the TOML file, then the environment, then the
//! arguments; read whole and judged whole at start.
//!
//! A section is a file of this folder and a key is a field in it, declared once
//! ([`mod@section`]); `config/default.toml` is made from them.

mod auth;
mod dev;
mod directory;
mod id;
mod names;
mod reading;
mod reference;
mod secret;
mod section;
mod server;
mod store;
mod tasks;
mod tree;
mod value;
mod warnings;

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

pub use self::auth::{AppConfig, AuthConfig, TokenConfig};
pub use self::dev::DevConfig;
pub use self::directory::DirectoryConfig;
pub use self::id::IdConfig;
pub use self::reading::Mistake;
use self::reading::{Reading, Table};
pub use self::secret::{read_secret, secret_of};
use self::section::{Section, section};
pub use self::server::ServerConfig;
pub use self::store::StoreConfig;
pub use self::tasks::TasksConfig;
pub use self::tree::Place;
use self::tree::{Content, Entries, Node};

/// The most bytes of a configuration file.
const MOST_FILE_BYTES: u64 = 1024 * 1024;

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
        let (_, mistakes) = Config::judge(entries, Defaults::Dev);
        let mistake = mistakes.into_iter().find(|mistake| mistake.key == self.key);
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
        let mut entries = match file {
            Some(path) => tree::of_toml(&text_of(path)?, Some(path))?,
            None => Entries::new(),
        };
        tree::add_environment(&mut entries, std::env::vars_os())?;
        for argument in arguments {
            tree::add_argument(&mut entries, argument.key, argument.node());
        }
        Self::of(entries, defaults)
    }

    /// As [`Config::load`], from the text of a file and without environment.
    ///
    /// # Errors
    ///
    /// As [`Config::load`].
    pub fn from_toml(text: &str, defaults: Defaults) -> Result<Self, ConfigError> {
        Self::of(tree::of_toml(text, None)?, defaults)
    }

    /// The reference of every key, as a file that changes nothing.
    #[must_use]
    pub fn reference() -> String {
        reference::reference(Self::KEYS)
    }

    fn of(entries: Entries, defaults: Defaults) -> Result<Self, ConfigError> {
        match Self::judge(entries, defaults) {
            (Some(config), mistakes) if mistakes.is_empty() => Ok(config),
            (_, mistakes) => Err(ConfigError::Invalid(InvalidSettings(mistakes))),
        }
    }

    fn judge(entries: Entries, defaults: Defaults) -> (Option<Self>, Vec<Mistake>) {
        let mut reading = Reading {
            defaults,
            all_keys: Self::KEYS,
            mistakes: Vec::new(),
        };
        let config = <Self as Section>::read(Table::top(entries, &mut reading));
        (config, reading.mistakes)
    }
}

/// The text of a configuration file, which may also be a pipe.
fn text_of(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |problem: String| ConfigError::Unreadable {
        path: path.to_owned(),
        problem,
    };
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| {
            file.take(MOST_FILE_BYTES.saturating_add(1))
                .read_to_string(&mut text)
        })
        .map_err(|error| unreadable(error.to_string()))?;
    if u64::try_from(text.len()).is_ok_and(|length| length > MOST_FILE_BYTES) {
        return Err(unreadable(format!(
            "it has more than {MOST_FILE_BYTES} bytes"
        )));
    }
    Ok(text)
}

impl fmt::Display for Config {
    /// The settings in force as TOML, with secrets redacted.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written().fmt(formatter)
    }
}
