//! The settings: defaults, then the file, then the environment; judged whole.

mod defaults;
mod environment;
mod jwt;
mod mistakes;
mod round_trip;
mod secrets;
mod store;
mod store_password;
mod values;
mod workers;

use kootask::config::{Config, ConfigError, Defaults};

/// An app's secret that is long enough.
const GOOD_SECRET: &str = "a-secret-of-some-length";

/// The settings of `serve` from this file.
fn read(toml: &str) -> Config {
    Config::from_toml(toml, Defaults::Serve).unwrap()
}

/// Why this file is refused.
#[track_caller]
fn refused(toml: &str) -> String {
    match Config::from_toml(toml, Defaults::Serve) {
        Ok(config) => panic!("{toml}\nis taken as\n{config}"),
        Err(error) => error.to_string(),
    }
}

/// The keys that are at fault in this file, in the order in which they are told.
#[track_caller]
fn keys_at_fault(toml: &str) -> Vec<String> {
    match Config::from_toml(toml, Defaults::Serve) {
        Err(ConfigError::Invalid(settings)) => {
            settings.0.into_iter().map(|mistake| mistake.key).collect()
        }
        other => panic!("{toml}\ngives {other:?}"),
    }
}
