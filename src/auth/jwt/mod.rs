//! JWTs (RFC 7519) as bearer tokens: those of one issuer, with its public keys.
//!
//! A token is held to RFC 8725: its algorithm must be one of its key's, its issuer and
//! audience are ours, and what it says of keys (`jwk`, `jku`, `x5u`) is ignored.
//!
//! Contract: `operations.md`, "Keys".

mod claims;
mod fetching;
mod keys;
mod provider;
mod source;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, dangerous, decode_header};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::claims::Claims;
pub use self::keys::BadKeySet;
use self::keys::KeySet;
use self::source::Keys;
pub use self::source::{JwksError, JwksSource, JwksUrl};
use super::authenticator::Admitted;
use crate::reload::Reload;
use crate::task::clock::SharedClock;
use crate::task::{Identifier, TenantId};
use crate::web::context::RequestContext;
use crate::web::error::ApiError;

/// Whose JWTs are taken, and what they must say.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// Its name (`iss`).
    pub name: String,
    /// Whom its tokens must be for (`aud`).
    pub audience: String,
    /// The claim that names the tenant.
    pub tenant_claim: String,
    /// The claim that names the one user that the bearer may act as; any if `None`.
    pub user_claim: Option<String>,
}

/// Checks JWTs.
pub struct Jwt {
    issuer: Issuer,
    keys: Arc<Keys>,
}

/// Why a JWT is refused, for the log. It tells nothing of the token.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the JWT's header or claims cannot be read, or a claim is there twice")]
    Malformed,
    #[error("the JWT has a header that must be understood (crit)")]
    Critical,
    #[error("the JWT's algorithm is none of those taken")]
    Algorithm,
    #[error("there is no key of the JWT's kid and algorithm, or more than one")]
    NoKey,
    #[error("there are no keys of auth.jwt yet")]
    NoKeys,
    #[error("the JWT's signature is wrong")]
    Signature,
    #[error("the JWT is of another issuer")]
    Issuer,
    #[error("the JWT is for another audience")]
    Audience,
    #[error("the JWT has no end (exp)")]
    NoEnd,
    #[error("the JWT's exp or nbf is no number")]
    BadTime,
    #[error("the JWT has expired")]
    Expired,
    #[error("the JWT is not yet valid (nbf)")]
    NotYetValid,
    #[error("the JWT has no subject (sub)")]
    NoSubject,
    #[error("the JWT's claim auth.jwt.tenant_claim is absent or no id")]
    NoTenant,
    #[error("the JWT's claim auth.jwt.user_claim is absent or no id")]
    NoUser,
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            // The token may be good: its bearer shall come again.
            Refused::NoKeys => Self::unavailable(refused),
            _ => Self::Unauthenticated(refused.to_string().into()),
        }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::InvalidSignature => Self::Signature,
            ErrorKind::InvalidIssuer => Self::Issuer,
            ErrorKind::InvalidAudience => Self::Audience,
            ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => Self::Audience,
            ErrorKind::MissingRequiredClaim(claim) if claim == "iss" => Self::Issuer,
            // Its text may quote the token.
            _ => Self::Malformed,
        }
    }
}

impl Jwt {
    /// Takes JWTs of `issuer`, with the keys at `source`, which are kept up to date in
    /// `tasks` until `stop`; `clock` tells when a URL may be asked again.
    ///
    /// # Errors
    ///
    /// [`JwksError`] when keys are in a file and it is of no use.
    pub fn new(
        issuer: Issuer,
        source: JwksSource,
        clock: &SharedClock,
        reload: &Reload,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, JwksError> {
        provider::install();
        let keys = source.keep(clock, reload, tasks, stop)?;
        Ok(Self { issuer, keys })
    }

    /// Whether this is a JWT that says that it is of the issuer.
    pub(super) fn is_claimed_by(&self, token: &str) -> bool {
        dangerous::insecure_decode_claims::<Claims>(token)
            .is_ok_and(|claims| claims.text("iss") == Some(&self.issuer.name))
    }

    /// The bearer of a token, which acts as `user_id` at `now`. The issuer's clock may
    /// be off by `skew`. The credential of a token that is the issuer's is noted for
    /// the log whatever else is found.
    pub(super) async fn admit(
        &self,
        token: &str,
        user_id: &Identifier,
        now: Timestamp,
        skew: SignedDuration,
        context: &RequestContext,
    ) -> Result<Admitted, ApiError> {
        let claims = self.verify(token).await?;
        let credential = claims.credential().ok_or(Refused::NoSubject)?;
        context.note_credential(Some(&credential));
        claims.hold_at(now, skew)?;
        let tenant = claims.identifier(&self.issuer.tenant_claim);
        let tenant_id = TenantId::from(tenant.ok_or(Refused::NoTenant)?);
        if let Some(claim) = &self.issuer.user_claim {
            let bound = claims.identifier(claim).ok_or(Refused::NoUser)?;
            if bound != *user_id {
                return Err(ApiError::Forbidden);
            }
        }
        Ok(Admitted {
            tenant_id,
            credential: Some(credential),
        })
    }

    /// The claims of a token that the issuer has signed for this audience.
    async fn verify(&self, token: &str) -> Result<Claims, Refused> {
        let header = decode_header(token)?;
        let (kid, algorithm) = (header.kid.as_deref(), header.alg);
        if header.crit.is_some() {
            return Err(Refused::Critical);
        }
        if !provider::verifies(algorithm) {
            return Err(Refused::Algorithm);
        }
        let mut keys = self.keys.current();
        let is_known = |keys: &Arc<KeySet>| keys.find(kid, algorithm).is_some();
        if !keys.as_ref().is_some_and(is_known) {
            self.keys.renew().await;
            keys = self.keys.current();
        }
        let keys = keys.ok_or(Refused::NoKeys)?;
        let key = keys.find(kid, algorithm).ok_or(Refused::NoKey)?;
        self.decode(token, key, algorithm)
    }

    fn decode(
        &self,
        token: &str,
        key: &DecodingKey,
        algorithm: Algorithm,
    ) -> Result<Claims, Refused> {
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&self.issuer.name]);
        validation.set_audience(&[&self.issuer.audience]);
        validation.set_required_spec_claims(&["iss", "aud"]);
        // By the service's own clock: `Claims::hold_at`.
        validation.validate_exp = false;
        Ok(jsonwebtoken::decode(token, key, &validation)?.claims)
    }
}
