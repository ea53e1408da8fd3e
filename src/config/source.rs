//! Where the settings are read from, at start and again while the service runs.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::tree::{self, Entries};
use super::{AppConfig, Argument, Config, ConfigError, Defaults};

/// The most bytes of a configuration file.
pub(super) const MOST_FILE_BYTES: u64 = 1024 * 1024;

/// The file, if one is given, the environment over it, the arguments over both.
#[derive(Debug, Clone)]
pub struct Source {
    /// The configuration file.
    pub file: Option<PathBuf>,
    /// What holds where nothing is given.
    pub defaults: Defaults,
    /// Settings of the command line.
    pub arguments: Vec<Argument>,
    /// Apps that sign beside those configured.
    pub apps: Vec<AppConfig>,
}

/// What was read.
#[derive(Debug)]
pub struct Loaded {
    /// The settings. [`ConfigError::Invalid`] names every mistake.
    pub config: Result<Config, ConfigError>,
    /// The files that they are in, readable or not, but for those of which settings
    /// tell the name alone.
    pub files: Vec<PathBuf>,
}

impl Source {
    /// Reads all of it, and judges every setting. Blocks.
    #[must_use]
    pub fn load(&self) -> Loaded {
        let mut loaded = match self.entries() {
            Ok(entries) => Config::of(entries, self.defaults),
            Err(error) => Loaded {
                config: Err(error),
                files: Vec::new(),
            },
        };
        loaded.files.extend(self.file.clone());
        if let Ok(config) = &mut loaded.config {
            config.auth.apps.extend(self.apps.iter().cloned());
        }
        loaded
    }

    fn entries(&self) -> Result<Entries, ConfigError> {
        let mut entries = match &self.file {
            Some(path) => tree::of_toml(&text_of(path)?, Some(path))?,
            None => Entries::new(),
        };
        tree::add_environment(&mut entries, std::env::vars_os())?;
        for argument in &self.arguments {
            tree::add_argument(&mut entries, argument.key, argument.node());
        }
        Ok(entries)
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
