//! `[auth]`: who may call.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use super::jwt::JwtConfig;
use super::reading::Table;
use super::secret::refuse_short;
use super::section::section;
use crate::auth::signature::SigningKey;
use crate::auth::{App, AuthMode, Credentials, Token, TokenDigest, Worker};
use crate::task::scope::{Scope, Tenants};
use crate::task::{Identifier, TaskType, TenantId};

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

        /// The workers that get tasks done.
        pub workers: Vec<WorkerConfig>,

        /// The issuer whose JWTs are taken.
        pub jwt: Option<JwtConfig>,
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

section! {
    /// A worker's bearer token. It opens the calls of workers and no others, and no
    /// other credential opens those. A second entry of the same name gives it a second
    /// token that is as good as the first. In the environment:
    /// KOOTASK__AUTH__WORKERS__0__NAME=…, then 1, 2, …; they replace the file's list.
    pub struct WorkerConfig {
        /// Its name. A task that is claimed under one name is ended under no other.
        #[example("migrator")]
        pub name: Identifier,

        /// The SHA-256 that the token is known by: printf %s "$TOKEN" | sha256sum
        #[example("1111111111111111111111111111111111111111111111111111111111111111")]
        pub token_sha256: TokenDigest,

        /// The tenants whose tasks it may see and move; ["*"] stands for all.
        #[example(["my-company"])]
        pub tenants: Tenants,

        /// The types of tasks that it may see and move; all if absent.
        #[example([0, 1])]
        pub task_types: Option<Arc<[TaskType]>>,

        /// When the token ends to be good; never if absent.
        #[example("2027-01-01T00:00:00Z")]
        pub expires_at: Option<Timestamp>,
    }
}

impl WorkerConfig {
    fn worker(&self) -> Worker {
        Worker {
            name: self.name.clone(),
            scope: Scope {
                tenants: self.tenants.clone(),
                task_types: self
                    .task_types
                    .clone()
                    .unwrap_or_else(|| TaskType::ALL.into()),
            },
            expires_at: self.expires_at,
        }
    }
}

impl AuthConfig {
    /// Whether nobody could call where a credential is required.
    #[must_use]
    pub const fn has_no_credential(&self) -> bool {
        self.apps.is_empty() && self.tokens.is_empty() && self.jwt.is_none()
    }

    /// Takes the credentials of another configuration in place of its own: those that
    /// are listed.
    pub fn replace_credentials(&mut self, other: Self) {
        self.apps = other.apps;
        self.tokens = other.tokens;
        self.workers = other.workers;
    }

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
        let workers = self.workers.iter();
        let workers = workers.map(|entry| (entry.token_sha256, entry.worker()));
        Credentials::new(apps, tokens.collect()).with_workers(workers.collect())
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

/// An app belongs to one tenant, a worker has one scope, and a token is listed
/// once, in one of the lists.
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
    let mut workers = HashMap::new();
    for (number, worker) in auth.workers.iter().map(WorkerConfig::worker).enumerate() {
        let (first, scope) = workers
            .entry(worker.name)
            .or_insert_with(|| (number, worker.scope.clone()));
        if *scope != worker.scope {
            let problem = format!(
                "entries {first} and {number}, counted from 0, are of one name but of two scopes"
            );
            table.mistake("workers", problem);
        }
    }
    let tokens = auth.tokens.iter().map(|token| token.token_sha256);
    let workers = auth.workers.iter().map(|worker| worker.token_sha256);
    let mut digests = HashMap::new();
    for (list, digest, number) in (0..)
        .zip(tokens)
        .map(|(number, digest)| ("tokens", digest, number))
        .chain(
            (0..)
                .zip(workers)
                .map(|(number, digest)| ("workers", digest, number)),
        )
    {
        if let Some((other, first)) = digests.insert(digest, (list, number)) {
            let problem = if other == list {
                format!("entries {first} and {number}, counted from 0, are the same token")
            } else {
                format!(
                    "entry {number} is the same token as entry {first} of {other}, counted from 0"
                )
            };
            table.mistake(list, problem);
        }
    }
}
