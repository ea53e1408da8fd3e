//! `[auth]`: who may call.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::Deserialize;

use super::secret::{Secret, SecretText, redacted};
use super::setting::{Problems, Setting, SettingType};
use super::table::List;
use crate::auth::signature::SigningKey;
use crate::auth::{App, AuthMode, Credentials, Token, TokenDigest};
use crate::task::{Identifier, TenantId};

/// `[auth]`: whether and how callers are checked.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// Whether credentials are required.
    pub mode: AuthMode,
    /// How far a client's clock may be ahead.
    pub clock_skew: SignedDuration,
    /// The apps that sign.
    pub apps: Vec<AppConfig>,
    /// The bearer tokens.
    pub tokens: Vec<TokenConfig>,
}

/// `[[auth.apps]]`: one secret of an app. An app that has several secrets, as
/// during a rotation, has an entry for each.
#[derive(Debug, Clone)]
pub struct AppConfig {
    /// The app.
    pub app_id: Identifier,
    /// The tenant it belongs to.
    pub tenant_id: TenantId,
    /// The secret.
    pub secret: SecretString,
}

/// `[[auth.tokens]]`: a bearer token.
#[derive(Debug, Clone)]
pub struct TokenConfig {
    /// The digest it is recognised by.
    pub digest: TokenDigest,
    /// Its rights.
    pub token: Token,
}

impl AuthConfig {
    /// The credentials, ready to check with.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        let mut apps: HashMap<Identifier, App> = HashMap::new();
        for app in &self.apps {
            apps.entry(app.app_id.clone())
                .or_insert_with(|| App {
                    tenant_id: app.tenant_id.clone(),
                    keys: Vec::new(),
                })
                .keys
                .push(SigningKey::new(&app.secret));
        }
        let tokens = self
            .tokens
            .iter()
            .map(|entry| (entry.digest, entry.token.clone()))
            .collect();
        Credentials::new(apps, tokens)
    }
}

impl FromStr for AuthMode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "verify" => Ok(Self::Verify),
            "accept-any" => Ok(Self::AcceptAny),
            _ => Err("must be \"verify\" or \"accept-any\""),
        }
    }
}

impl fmt::Display for AuthMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Verify => "verify",
            Self::AcceptAny => "accept-any",
        })
    }
}

impl FromStr for TokenDigest {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut digest = [0; 32];
        hex::decode_to_slice(text, &mut digest)
            .map_err(|_| "must be 64 hexadecimal digits, the token's SHA-256")?;
        Ok(Self(digest))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawAuth {
    mode: Setting<AuthMode>,
    clock_skew: Setting<SignedDuration>,
    apps: List<RawApp>,
    tokens: List<RawToken>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawApp {
    app_id: Setting<Identifier>,
    tenant_id: Setting<Identifier>,
    app_secret: Setting<SecretText>,
    app_secret_file: Setting<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawToken {
    token_sha256: Setting<TokenDigest>,
    tenant_id: Setting<Identifier>,
    user_id: Setting<Identifier>,
    expires_at: Setting<Timestamp>,
}

impl SettingType for AuthMode {}
impl SettingType for TokenDigest {}

impl RawAuth {
    pub(super) fn judge(self, default_mode: AuthMode, problems: &mut Problems) -> AuthConfig {
        let clock_skew =
            self.clock_skew
                .or("auth.clock_skew", SignedDuration::from_secs(5), problems);
        if clock_skew < SignedDuration::ZERO || clock_skew > SignedDuration::from_mins(15) {
            problems.add("auth.clock_skew", "must be between 0 s and 15 min");
        }
        let apps = self.apps.judge("auth.apps", problems, RawApp::judge);
        let tokens = self.tokens.judge("auth.tokens", problems, RawToken::judge);
        refuse_contradictions(&apps, &tokens, problems);
        AuthConfig {
            mode: self.mode.or("auth.mode", default_mode, problems),
            clock_skew,
            apps,
            tokens,
        }
    }
}

/// An app belongs to one tenant, and a token is listed once.
fn refuse_contradictions(apps: &[AppConfig], tokens: &[TokenConfig], problems: &mut Problems) {
    let mut tenants: HashMap<&Identifier, &TenantId> = HashMap::new();
    for app in apps {
        if *tenants.entry(&app.app_id).or_insert(&app.tenant_id) != &app.tenant_id {
            let problem = format!("app {} has secrets for more than one tenant", app.app_id);
            problems.add("auth.apps", problem);
        }
    }
    let mut digests = HashSet::new();
    for token in tokens {
        if !digests.insert(token.digest) {
            let digest = hex::encode(token.digest.0);
            problems.add("auth.tokens", format!("token {digest} is listed twice"));
        }
    }
}

impl RawApp {
    fn judge(self, key: &str, problems: &mut Problems) -> Option<AppConfig> {
        let app_id = self.app_id.required(&format!("{key}.app_id"), problems);
        let tenant_id = self
            .tenant_id
            .required(&format!("{key}.tenant_id"), problems);
        let secret = Secret {
            text: self.app_secret,
            file: self.app_secret_file,
        };
        if !secret.is_set() {
            problems.add(key, "needs app_secret or app_secret_file");
        }
        let secret = secret.judge(key, "app_secret", problems);
        Some(AppConfig {
            app_id: app_id?,
            tenant_id: tenant_id?.into(),
            secret: secret?,
        })
    }
}

impl RawToken {
    fn judge(self, key: &str, problems: &mut Problems) -> Option<TokenConfig> {
        let digest = self
            .token_sha256
            .required(&format!("{key}.token_sha256"), problems);
        let tenant_id = self
            .tenant_id
            .required(&format!("{key}.tenant_id"), problems);
        let user_id = self.user_id.optional(&format!("{key}.user_id"), problems);
        let expires_at = self
            .expires_at
            .optional(&format!("{key}.expires_at"), problems);
        Some(TokenConfig {
            digest: digest?,
            token: Token {
                tenant_id: tenant_id?.into(),
                user_id,
                expires_at,
            },
        })
    }
}

impl fmt::Display for AuthConfig {
    /// As TOML, with secrets redacted. A token's digest is no secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "[auth]\nmode = \"{}\"", self.mode)?;
        writeln!(formatter, "clock_skew = \"{:#}\"", self.clock_skew)?;
        for app in &self.apps {
            writeln!(formatter, "\n[[auth.apps]]\napp_id = \"{}\"", app.app_id)?;
            writeln!(formatter, "tenant_id = \"{}\"", app.tenant_id.as_str())?;
            writeln!(formatter, "app_secret = {}", redacted(&app.secret))?;
        }
        for entry in &self.tokens {
            let digest = hex::encode(entry.digest.0);
            writeln!(formatter, "\n[[auth.tokens]]\ntoken_sha256 = \"{digest}\"")?;
            writeln!(
                formatter,
                "tenant_id = \"{}\"",
                entry.token.tenant_id.as_str()
            )?;
            if let Some(user_id) = &entry.token.user_id {
                writeln!(formatter, "user_id = \"{user_id}\"")?;
            }
            if let Some(expires_at) = &entry.token.expires_at {
                writeln!(formatter, "expires_at = \"{expires_at}\"")?;
            }
        }
        Ok(())
    }
}
