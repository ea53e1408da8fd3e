//! `[store]`: where tasks are kept.

use std::fmt;
use std::num::NonZero;
use std::path::PathBuf;

use serde::Deserialize;

use super::secret::{Secret, SecretText, redacted};
use super::setting::{Problems, Setting};
use super::toml_string;
use crate::store::StoreUrl;

/// The most connections that can be asked for.
const MOST_CONNECTIONS: u16 = 1000;

/// `[store]`: where tasks are kept.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The store.
    pub url: StoreUrl,
    /// Whether its schema is brought up to date at start.
    pub migrate: bool,
    /// The most connections to PostgreSQL, 2–1,000.
    pub max_connections: u16,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawStore {
    url: Setting<StoreUrl>,
    password: Setting<SecretText>,
    password_file: Setting<PathBuf>,
    migrate: Setting<bool>,
    max_connections: Setting<u16>,
}

impl RawStore {
    /// The settings; `given`, if there is one, goes over `store.url`.
    pub(super) fn judge(
        self,
        default_url: StoreUrl,
        given: Option<StoreUrl>,
        problems: &mut Problems,
    ) -> StoreConfig {
        let password = Secret {
            text: self.password,
            file: self.password_file,
        };
        let is_password_set = password.is_set();
        let password = password.judge("store", "password", problems);
        let is_url_set = self.url.is_set();
        let url = self.url.optional("store.url", problems);
        let is_url_wrong = is_url_set && url.is_none();
        // The password is for what is given too, if that lacks one.
        let may_be_idle = !is_password_set || given.is_some() || is_url_wrong;
        let url = match given.or(url).unwrap_or(default_url) {
            StoreUrl::Postgres(url) if url.password().is_none() => {
                StoreUrl::Postgres(match password {
                    Some(password) => url.with_password(password),
                    None => url,
                })
            }
            url if may_be_idle => url,
            url @ StoreUrl::Postgres(_) => {
                problems.add("store.password", "is in store.url already; give one");
                url
            }
            url => {
                problems.add("store.password", "is for a PostgreSQL store");
                url
            }
        };
        let max_connections =
            self.max_connections
                .or("store.max_connections", default_max_connections(), problems);
        if !(2..=MOST_CONNECTIONS).contains(&max_connections) {
            problems.add("store.max_connections", "must be between 2 and 1000");
        }
        StoreConfig {
            url,
            migrate: self.migrate.or("store.migrate", true, problems),
            max_connections,
        }
    }
}

/// One connection for writing and, for reads, three and one more for each core:
/// from 6 with 2 cores up to 20. A database works best on about as many
/// statements at a time as it has cores and disks; the rest may wait.
fn default_max_connections() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    u16::try_from(cores)
        .unwrap_or(u16::MAX)
        .min(16)
        .saturating_add(4)
}

impl fmt::Display for StoreConfig {
    /// As TOML, with secrets redacted.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "[store]\nurl = {}", toml_string(&self.url))?;
        if let StoreUrl::Postgres(url) = &self.url {
            if let Some(password) = url.password() {
                writeln!(formatter, "password = {}", redacted(password))?;
            }
            writeln!(formatter, "max_connections = {}", self.max_connections)?;
        }
        writeln!(formatter, "migrate = {}", self.migrate)
    }
}
