//! What is allowed, but hardly meant.

use jiff::Timestamp;

use super::Config;
use crate::auth::AuthMode;

impl Config {
    /// Whether anybody who reaches this machine over a network may call.
    #[must_use]
    pub fn lets_a_network_in(&self) -> bool {
        let is_local = self.server.listen.ip().to_canonical().is_loopback();
        self.auth.mode == AuthMode::AcceptAny && !is_local
    }

    /// What is allowed but hardly meant, a sentence each, as of this moment.
    #[must_use]
    pub fn warnings(&self, now: Timestamp) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.lets_a_network_in() {
            warnings.push(format!(
                "auth.mode is accept-any and server.listen is {}: whoever reaches that address may call",
                self.server.listen
            ));
        } else if self.auth.mode == AuthMode::AcceptAny {
            warnings.push(
                "auth.mode is accept-any: whoever reaches this service may call it".to_owned(),
            );
        }
        let jwt = usize::from(self.auth.jwt.is_some());
        let mut good = self.auth.apps.len().saturating_add(jwt);
        for (number, token) in self.auth.tokens.iter().enumerate() {
            match token.expires_at {
                Some(end) if end <= now => warnings.push(format!(
                    "auth.tokens[{number}] expired at {end}: its bearer is refused"
                )),
                _ => good = good.saturating_add(1),
            }
        }
        for (number, worker) in self.auth.workers.iter().enumerate() {
            if let Some(end) = worker.expires_at.filter(|end| *end <= now) {
                warnings.push(format!(
                    "auth.workers[{number}] expired at {end}: its bearer is refused"
                ));
            }
        }
        if good == 0 && self.auth.mode == AuthMode::Verify {
            warnings.push("no credential is good any more: nobody can call".to_owned());
        }
        warnings
    }
}
