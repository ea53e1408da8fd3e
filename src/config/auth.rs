//! `[auth]`: who may call.

use std::collections::HashMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use super::reading::Table;
use super::secret::refuse_short;
use super::section::section;
use crate::auth::signature::SigningKey;
use crate::auth::{App, AuthMode, Credentials, Token, TokenDigest};
use crate::task::{Identifier, TenantId};

/// The fewest bytes of an app's secret. An HMAC key below 112 bits is disallowed
/// by NIST SP 800-131A, and few texts have 8 bits in each byte: 16 bytes are 128
/// bits at best.
const FEWEST_SECRET_BYTES: usize = 16;

section! {
    /// Who may call, and as whom.
    pub struct AuthConfig checked by refuse_contradictions {
        /// "verify": a valid credential is required.
        /// "accept-any": a credential may be absent, and a bearer token that is not
        /// listed below is taken at its word. «kootask serve» then refuses to listen
        /// anywhere but on loopback, unless it is given --accept-any-from-network.
        /// Signatures are verified in both.
        #[default("verify", dev = "accept-any")]
        pub mode: AuthMode,

        /// How far a client's clock may be ahead.
        #[default("5s")]
        #[range("0s", "15m")]
        pub clock_skew: SignedDuration,

        /// The apps that sign.
        pub apps: Vec<AppConfig>,

        /// The bearer tokens.
        pub tokens: Vec<TokenConfig>,
    }
}

section! {
    /// An app that signs its requests. A second entry of the same app gives it a
    /// second secret that is as good as the first: add the new one, move the clients
    /// over, remove the old one. In the environment:
    /// KOOTASK__AUTH__APPS__0__APP_ID=…, then 1, 2, …; they replace the file's list.
    pub struct AppConfig checked by refuse_short_secret {
        /// Its name, as in AppId.
        #[example("admin-console")]
        pub app_id: Identifier,

        /// The tenant it belongs to, the same in each of its entries.
        #[example("my-company")]
        pub tenant_id: TenantId,

        /// The secret, of at least 16 bytes, or a file that holds it; give one of the
        /// two. «openssl rand -hex 32» makes one.
        #[example("/run/secrets/admin-console")]
        pub app_secret: SecretString,
    }
}

section! {
    /// A bearer token. In the environment: KOOTASK__AUTH__TOKENS__0__TOKEN_SHA256=…,
    /// then 1, 2, …; they replace the file's list.
    pub struct TokenConfig {
        /// The SHA-256 that it is known by: printf %s "$TOKEN" | sha256sum
        #[example("0000000000000000000000000000000000000000000000000000000000000000")]
        pub token_sha256: TokenDigest,

        /// The tenant it belongs to.
        #[example("my-company")]
        pub tenant_id: TenantId,

        /// The one user it may act as; any user of the tenant if absent.
        #[example("1505084218764547200")]
        pub user_id: Option<Identifier>,

        /// When it ends to be good; never if absent.
        #[example("2027-01-01T00:00:00Z")]
        pub expires_at: Option<Timestamp>,
    }
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
                .push(SigningKey::new(&app.app_secret));
        }
        let token = |entry: &TokenConfig| Token {
            tenant_id: entry.tenant_id.clone(),
            user_id: entry.user_id.clone(),
            expires_at: entry.expires_at,
        };
        let tokens = self.tokens.iter();
        let tokens = tokens.map(|entry| (entry.token_sha256, token(entry)));
        Credentials::new(apps, tokens.collect())
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

fn refuse_short_secret(app: &mut AppConfig, table: &mut Table<'_>) {
    refuse_short(table, "app_secret", &app.app_secret, FEWEST_SECRET_BYTES);
}

/// An app belongs to one tenant, and a token is listed once.
fn refuse_contradictions(auth: &mut AuthConfig, table: &mut Table<'_>) {
    let mut tenants = HashMap::new();
    for (number, app) in auth.apps.iter().enumerate() {
        let (first, tenant) = *tenants
            .entry(&app.app_id)
            .or_insert((number, &app.tenant_id));
        if tenant != &app.tenant_id {
            let problem = format!(
                "entries {first} and {number}, counted from 0, are of one app but of two tenants"
            );
            table.mistake("apps", problem);
        }
    }
    let mut digests = HashMap::new();
    for (number, token) in auth.tokens.iter().enumerate() {
        if let Some(first) = digests.insert(token.token_sha256, number) {
            let problem =
                format!("entries {first} and {number}, counted from 0, are the same token");
            table.mistake("tokens", problem);
        }
    }
}
