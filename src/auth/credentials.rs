//! The credentials that the service knows, as configured.

use std::collections::HashMap;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::signature::SigningKey;
use super::worker::Worker;
use crate::task::{Identifier, TenantId};

/// The SHA-256 of a bearer token; the token itself is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenDigest(pub [u8; 32]);

impl TokenDigest {
    /// The digest of this token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// What the token is called where its use is told: by the first 8 digits of
    /// its digest, which `config check` shows too.
    #[must_use]
    pub fn name(&self) -> Option<Identifier> {
        let start = self.0.first_chunk::<4>()?;
        format!("token-{}", hex::encode(start)).parse().ok()
    }
}

/// An app that signs its requests.
#[derive(Debug, Clone)]
pub struct App {
    /// The tenant that it belongs to.
    pub tenant_id: TenantId,
    /// A key for each of its secrets; all are good, so that one can be rotated.
    pub keys: Vec<SigningKey>,
}

/// A bearer token's rights.
#[derive(Debug, Clone)]
pub struct Token {
    /// The tenant that it belongs to.
    pub tenant_id: TenantId,
    /// The one user it may act as; any if `None`.
    pub user_id: Option<Identifier>,
    /// When it ends to be good; never if `None`.
    pub expires_at: Option<Timestamp>,
}

/// All credentials.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    apps: HashMap<Identifier, App>,
    tokens: HashMap<TokenDigest, Token>,
    workers: HashMap<TokenDigest, Worker>,
    /// As many keys as the app with the most secrets has.
    decoys: Vec<SigningKey>,
}

impl Credentials {
    /// Credentials from apps by id and tokens by digest.
    #[must_use]
    pub fn new(apps: HashMap<Identifier, App>, tokens: HashMap<TokenDigest, Token>) -> Self {
        let most_keys = apps.values().map(|app| app.keys.len()).max().unwrap_or(1);
        Self {
            apps,
            tokens,
            workers: HashMap::new(),
            decoys: (0..most_keys).map(|_| SigningKey::decoy()).collect(),
        }
    }

    /// When the token ends that ends first, a caller's or a worker's, if any does.
    #[must_use]
    pub fn earliest_expiry(&self) -> Option<Timestamp> {
        let tokens = self.tokens.values().filter_map(|token| token.expires_at);
        let workers = self.workers.values();
        let workers = workers.filter_map(|worker| worker.expires_at);
        tokens.chain(workers).min()
    }

    /// The same, with workers by the digests of their tokens.
    #[must_use]
    pub fn with_workers(mut self, workers: HashMap<TokenDigest, Worker>) -> Self {
        self.workers = workers;
        self
    }

    /// What a worker's token is good for. Looked up as [`Credentials::token`].
    pub(super) fn worker(&self, token: &str) -> Option<&Worker> {
        if self.workers.is_empty() {
            return None;
        }
        self.workers.get(&TokenDigest::of(token))
    }

    /// The tenant of the app, if `signature` is one of its. Every call costs
    /// the same number of signatures, whether or not the app exists.
    pub(super) fn verify(
        &self,
        app_id: &Identifier,
        string_to_sign: &str,
        signature: &[u8; 32],
    ) -> Option<&TenantId> {
        let app = self.apps.get(app_id);
        let keys = app.map_or(&[][..], |app| &app.keys);
        let decoys = self.decoys.iter().skip(keys.len());
        let mut verified = false;
        for key in keys.iter().chain(decoys) {
            verified |= key.verifies(string_to_sign, signature);
        }
        app.filter(|_| verified).map(|app| &app.tenant_id)
    }

    /// The keys of an app; none if there is no such app.
    pub(super) fn keys(&self, app_id: &Identifier) -> &[SigningKey] {
        self.apps.get(app_id).map_or(&[], |app| &app.keys)
    }

    /// The app whose signature this is.
    pub(super) fn signer(&self, string_to_sign: &str, signature: &[u8; 32]) -> Option<&Identifier> {
        let mut apps = self.apps.iter();
        let signed = |key: &SigningKey| key.verifies(string_to_sign, signature);
        apps.find(|(_, app)| app.keys.iter().any(signed))
            .map(|(app_id, _)| app_id)
    }

    /// The rights of a bearer token, and its name. It is looked up by its digest, so that the
    /// time this takes tells nothing about the tokens that exist.
    pub(super) fn token(&self, token: &str) -> Option<(&Token, Option<Identifier>)> {
        if self.tokens.is_empty() {
            return None;
        }
        let digest = TokenDigest::of(token);
        Some((self.tokens.get(&digest)?, digest.name()))
    }
}
