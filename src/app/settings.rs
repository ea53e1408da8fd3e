//! The part of the configuration that can change while the service runs:
//! credentials and limits.

use std::sync::Arc;

use crate::auth::limits::Limiter;
use crate::auth::{AuthMode, Authenticator};
use crate::config::{Config, Source};
use crate::reload::{Files, Occasion, Outcome, Reload, What};

/// The most bytes of the configuration or of a secret.
const FILE_LIMIT: u64 = 1024 * 1024;
/// The keys that need no restart.
const RELOADED: [&str; 4] = ["auth.apps", "auth.tokens", "auth.workers", "limits."];

/// The settings in force, and where they came from.
pub(super) struct Settings {
    source: Source,
    in_force: Config,
    files: Files,
    /// Why what the files hold is not in force, if it is not.
    refused: Option<String>,
    authenticator: Arc<Authenticator>,
    limiter: Arc<Limiter>,
    reload: Reload,
}

impl Settings {
    /// These settings, as they were read from `source` at start. What of it changed
    /// since is found by the first look.
    pub(super) fn new(
        source: Source,
        in_force: Config,
        authenticator: Arc<Authenticator>,
        limiter: Arc<Limiter>,
        reload: Reload,
    ) -> Self {
        Self {
            source,
            in_force,
            files: Files::new(Vec::new(), FILE_LIMIT),
            refused: None,
            authenticator,
            limiter,
            reload,
        }
    }

    /// Puts in force what has changed in the files, if all of it is of use. The
    /// environment of a process does not change.
    pub(super) fn look(&mut self, occasion: Occasion) {
        if self.files.look(occasion).is_none() {
            return;
        }
        if occasion == Occasion::Periodic {
            let _ = self.files.settle();
        }
        let file = self.source.file.as_ref();
        if file.is_some_and(|file| file.metadata().is_ok_and(|file| !file.is_file())) {
            return self.refuse("it is no regular file, so it is not read again", occasion);
        }
        // What is read now may be newer than what was compared, and is never older.
        let loaded = self.source.load();
        self.files.replace(loaded.files);
        match loaded.config {
            Err(error) => self.refuse(&error.to_string(), occasion),
            Ok(config) if self.shuts_everybody_out(&config) => {
                let why = "it has no credential, so that nobody could call any more";
                self.refuse(why, occasion);
            }
            Ok(config) => self.take(config, occasion),
        }
    }

    fn shuts_everybody_out(&self, config: &Config) -> bool {
        // That JWTs are taken, or are not, takes effect at restart.
        let no_jwt = self.in_force.auth.jwt.is_none() || config.auth.jwt.is_none();
        let none_listed = config.auth.apps.is_empty() && config.auth.tokens.is_empty();
        self.in_force.auth.mode == AuthMode::Verify && none_listed && no_jwt
    }

    fn refuse(&mut self, why: &str, occasion: Occasion) {
        if self.refused.as_deref() == Some(why) && occasion == Occasion::Periodic {
            return;
        }
        self.refused = Some(why.to_owned());
        self.reload.note(What::Configuration, Outcome::Refused);
        tracing::error!(
            error = why,
            "the configuration is not reloaded; what was in force stays"
        );
    }

    fn take(&mut self, config: Config, occasion: Occasion) {
        self.refused = None;
        let differences = self.in_force.differences(&config);
        if differences.is_empty() && occasion == Occasion::Periodic {
            return;
        }
        let (changed, later): (Vec<_>, Vec<_>) = differences
            .into_iter()
            .partition(|key| RELOADED.iter().any(|reloaded| key.starts_with(reloaded)));
        for key in later {
            tracing::warn!(key, "a changed setting takes effect at restart");
        }
        let changes = |start: &str| changed.iter().any(|key| key.starts_with(start));
        if changes("auth.") {
            self.authenticator
                .replace_credentials(config.auth.credentials());
        }
        if changes("limits.") {
            self.limiter.replace(config.limits.limits());
        }
        self.in_force.auth.replace_credentials(config.auth);
        self.in_force.limits = config.limits;
        self.reload.note(What::Configuration, Outcome::Loaded);
        tracing::info!(changed = changed.join(", "), "configuration reloaded");
    }
}
