//! The decision whether a request is who it says it is.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::request::Parts;
use jiff::{SignedDuration, Timestamp};

use super::authorization::Authorization;
use super::credentials::Credentials;
use super::headers::{AppAuthHeaders, host};
use super::jwt::Jwt;
use super::signature::{SignableRequest, SignatureHeader, SigningKey, string_to_sign};
use super::{STAND_IN_WORKER, WorkerCaller, stand_in, x_date};
use crate::task::clock::SharedClock;
use crate::task::scope::Scope;
use crate::task::{Identifier, TenantId};
use crate::web::context::RequestContext;
use crate::web::error::{ApiError, Reason, Violation};

/// Whether credentials are required.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// A valid credential is required.
    Verify,
    /// The local stand-in: a credential may be absent, and a bearer token that
    /// is not configured is taken for a good one. Signatures are verified.
    AcceptAny,
}

/// Checks credentials.
pub struct Authenticator {
    mode: AuthMode,
    clock_skew: SignedDuration,
    credentials: ArcSwap<Credentials>,
    jwt: Option<Jwt>,
    clock: SharedClock,
    /// Of the stand-in `kootask dev`: the key of its apps.
    stand_in_key: Option<SigningKey>,
    stand_in_worker: Option<Identifier>,
}

/// A credential that was admitted, or that the stand-in does without.
pub(super) struct Admitted {
    /// The tenant it belongs to.
    pub(super) tenant_id: TenantId,
    /// Its name; `None` where there is none.
    pub(super) credential: Option<Identifier>,
}

/// What a request shows of its caller before its body is read.
pub(super) enum Presented<'a> {
    /// The credential needs no body.
    Unsigned(Admitted),
    /// The body must be hashed first.
    Signed(SignatureHeader<'a>),
}

impl Authenticator {
    /// An authenticator; `clock_skew` is how far a client's clock may be ahead.
    #[must_use]
    pub fn new(
        mode: AuthMode,
        clock_skew: SignedDuration,
        credentials: Credentials,
        clock: SharedClock,
    ) -> Self {
        Self {
            mode,
            clock_skew,
            credentials: ArcSwap::from_pointee(credentials),
            jwt: None,
            clock,
            stand_in_key: None,
            stand_in_worker: STAND_IN_WORKER.parse().ok(),
        }
    }

    /// Takes JWTs for credentials, too.
    #[must_use]
    pub fn with_jwt(mut self, jwt: Jwt) -> Self {
        self.jwt = Some(jwt);
        self
    }

    /// Lets credentials name any tenant, as the stand-in does.
    #[must_use]
    pub fn in_the_stand_in(mut self) -> Self {
        self.stand_in_key = Some(stand_in::key());
        self
    }

    /// When the token ends that ends first, of those it knows now, if any does.
    #[must_use]
    pub fn earliest_expiry(&self) -> Option<Timestamp> {
        self.credentials.load().earliest_expiry()
    }

    /// Puts other credentials in the place of those it knows. A request is checked
    /// with the ones or the others.
    pub fn replace_credentials(&self, credentials: Credentials) {
        self.credentials.store(Arc::new(credentials));
    }

    /// Checks all but a signature. The credential of a token that is known is noted
    /// for the log whatever is found.
    pub(super) async fn check<'a>(
        &self,
        parts: &'a Parts,
        claimed: &AppAuthHeaders,
        context: &RequestContext,
    ) -> Result<Presented<'a>, ApiError> {
        let now = self.clock.now();
        if !x_date::is_current(claimed.date, now, self.clock_skew) {
            let outside = Violation::new("X-Date", Reason::OutsideWindow { now });
            return Err(ApiError::DateOutsideWindow(outside.into()));
        }
        let authorization = Authorization::read(&parts.headers)
            .map_err(|why| ApiError::Unauthenticated(why.into()))?;
        match authorization {
            Authorization::Signature(signature) => Ok(Presented::Signed(signature)),
            Authorization::Bearer(token) => self
                .check_token(token, &claimed.user_id, now, context)
                .await
                .map(Presented::Unsigned),
            Authorization::Absent => self
                .without_credential("no credential")
                .map(Presented::Unsigned),
        }
    }

    async fn check_token(
        &self,
        token: &str,
        user_id: &Identifier,
        now: Timestamp,
        context: &RequestContext,
    ) -> Result<Admitted, ApiError> {
        if let Some(checked) = self.check_listed_token(token, user_id, now, context) {
            return checked;
        }
        if let Some(jwt) = self.jwt_of(token) {
            let skew = self.clock_skew;
            // Boxed, or every request would have the room that JWTs need.
            return Box::pin(jwt.admit(token, user_id, now, skew, context)).await;
        }
        let mut admitted = self.without_credential("unknown token")?;
        if self.stand_in_key.is_some()
            && let Some(tenant_id) = stand_in::tenant_of_token(token)
        {
            admitted.tenant_id = tenant_id;
        }
        Ok(admitted)
    }

    /// Who judges this token, if it is a JWT of the issuer's.
    fn jwt_of(&self, token: &str) -> Option<&Jwt> {
        self.jwt.as_ref().filter(|jwt| jwt.is_claimed_by(token))
    }

    /// What there is to a token of the configuration; `None` if it is none.
    fn check_listed_token(
        &self,
        token: &str,
        user_id: &Identifier,
        now: Timestamp,
        context: &RequestContext,
    ) -> Option<Result<Admitted, ApiError>> {
        let credentials = self.credentials.load();
        let refused = |why: &'static str| Some(Err(ApiError::Unauthenticated(why.into())));
        let Some((token, name)) = credentials.token(token) else {
            return credentials
                .worker(token)
                .and_then(|_| refused("a worker's token"));
        };
        context.note_credential(name.as_ref());
        if token.expires_at.is_some_and(|end| end <= now) {
            return refused("the token has expired");
        }
        if token.user_id.as_ref().is_some_and(|bound| bound != user_id) {
            return Some(Err(ApiError::Forbidden));
        }
        Some(Ok(Admitted {
            tenant_id: token.tenant_id.clone(),
            credential: name,
        }))
    }

    /// The worker of a request. The credential of a token that is known is noted
    /// for the log whatever is found.
    pub(super) fn check_worker(
        &self,
        parts: &Parts,
        context: &RequestContext,
    ) -> Result<WorkerCaller, ApiError> {
        let refused = |why: &'static str| ApiError::Unauthenticated(why.into());
        let token = match Authorization::read(&parts.headers).map_err(refused)? {
            Authorization::Bearer(token) => token,
            Authorization::Absent => return self.stand_in_worker("no credential"),
            Authorization::Signature(_) => return Err(refused("a signature, of a worker")),
        };
        let credentials = self.credentials.load();
        let Some(worker) = credentials.worker(token) else {
            return match credentials.token(token) {
                Some(_) => Err(refused("a token that is no worker's")),
                None if self.jwt_of(token).is_some() => Err(refused("a JWT, of a worker")),
                None => self.stand_in_worker("unknown token"),
            };
        };
        context.note_credential(Some(&worker.name));
        let now = self.clock.now();
        if worker.expires_at.is_some_and(|end| end <= now) {
            return Err(refused("the worker's token has expired"));
        }
        Ok(WorkerCaller {
            name: worker.name.clone(),
            scope: worker.scope.clone(),
        })
    }

    /// The worker whose credential is not known: there is one in the stand-in alone.
    fn stand_in_worker(&self, otherwise: &'static str) -> Result<WorkerCaller, ApiError> {
        match (self.mode, &self.stand_in_worker) {
            (AuthMode::AcceptAny, Some(name)) => Ok(WorkerCaller {
                name: name.clone(),
                scope: Scope::everything(),
            }),
            _ => Err(ApiError::Unauthenticated(otherwise.into())),
        }
    }

    /// The tenant of who has no credential that is known: there is one in the
    /// stand-in alone.
    fn without_credential(&self, otherwise: &'static str) -> Result<Admitted, ApiError> {
        match self.mode {
            AuthMode::AcceptAny => Ok(Admitted {
                tenant_id: stand_in::tenant(),
                credential: None,
            }),
            AuthMode::Verify => Err(ApiError::Unauthenticated(otherwise.into())),
        }
    }

    /// The tenant of an app of the stand-in, if it is one that signed this.
    fn stand_in_app(
        &self,
        presented: &SignatureHeader<'_>,
        string_to_sign: &str,
    ) -> Option<TenantId> {
        let key = self.stand_in_key.as_ref()?;
        let tenant_id = stand_in::tenant_of_app(presented.app_id.as_str())?;
        key.verifies(string_to_sign, &presented.signature)
            .then_some(tenant_id)
    }

    /// The keys that an app may sign with.
    pub(super) fn signing_keys(&self, app_id: &Identifier) -> Vec<SigningKey> {
        let credentials = self.credentials.load();
        let known = credentials.keys(app_id);
        if known.is_empty() && stand_in::tenant_of_app(app_id.as_str()).is_some() {
            return self.stand_in_key.clone().into_iter().collect();
        }
        known.to_vec()
    }

    /// Another app than this, whose signature this is.
    pub(super) fn other_app(
        &self,
        app_id: &Identifier,
        string_to_sign: &str,
        signature: &[u8; 32],
    ) -> Option<Identifier> {
        let credentials = self.credentials.load();
        let signer = credentials.signer(string_to_sign, signature);
        signer.filter(|signer| *signer != app_id).cloned()
    }

    /// Checks the signature of a request whose body is hashed.
    pub(super) fn check_signature(
        &self,
        parts: &Parts,
        presented: &SignatureHeader<'_>,
        body_sha256: &[u8; 32],
    ) -> Result<Admitted, ApiError> {
        let host = host(parts).unwrap_or_default();
        let signed_headers = presented.signed_headers;
        // For the log, with what a signer that is wrong often got wrong. A
        // client can make the list long.
        let refused = |why| {
            let signed = format!("signed over {signed_headers:.256}, with the Host {host}");
            ApiError::Unauthenticated(format!("{why}; {signed}").into())
        };
        let request = SignableRequest {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            host,
            headers: &parts.headers,
            body_sha256,
        };
        let canonical = request
            .canonical(signed_headers)
            .ok_or_else(|| refused("a signed header is absent or repeated"))?;
        let text = string_to_sign(&canonical);
        self.credentials
            .load()
            .verify(&presented.app_id, &text, &presented.signature)
            .cloned()
            .or_else(|| self.stand_in_app(presented, &text))
            .map(|tenant_id| Admitted {
                tenant_id,
                credential: Some(presented.app_id.clone()),
            })
            .ok_or_else(|| refused("unknown app or wrong signature"))
    }
}
