//! Who calls: the app-auth headers, the credential, and the layers that admit
//! only requests that carry what their calls ask for.
//!
//! Contract: `api.md`, "Request headers"; `app-auth.md`; `worker.md`, "Who".

mod authenticator;
mod authorization;
mod credentials;
mod explanation;
mod headers;
pub mod jwt;
pub mod layer;
pub mod limits;
mod requirements;
pub mod signature;
pub mod stand_in;
mod worker;
pub mod x_date;

use axum::extract::FromRequestParts;
use http::request::Parts;
use sha2::{Digest, Sha256};

use crate::task::idempotency::{Idempotency, Key};
use crate::task::{Identifier, TenantId};
use crate::web::error::ApiError;

pub use self::authenticator::{AuthMode, Authenticator};
pub use self::credentials::{App, Credentials, Token, TokenDigest};
pub use self::explanation::Explanation;
pub use self::requirements::requirements;
pub use self::worker::{STAND_IN_WORKER, Worker, WorkerCaller, admit_worker};

/// The authenticated author of a request.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The tenant that the credential belongs to.
    pub tenant_id: TenantId,
    /// The user it acts as (`X-User-Id`).
    pub user_id: Identifier,
    /// The name of the credential: an app's id, [`TokenDigest::name`], or of a JWT that
    /// of its subject; `None` where none was required.
    pub credential: Option<Identifier>,
    /// How the request was signed, if it was.
    pub signed: Option<Signed>,
}

impl Caller {
    /// What makes a repetition of its request recognisable: its `Idempotency-Key`,
    /// and its signature; with another key it still is the same signed request.
    #[must_use]
    pub fn idempotency(&self, key: Option<&[u8]>, body: &[u8]) -> Option<Idempotency> {
        let of = |key, body_sha256| Idempotency::new(&self.tenant_id, key, body_sha256);
        match (key, &self.signed) {
            (Some(key), Some(signed)) => {
                let by_key = of(Key::Header(key), &signed.body_sha256);
                Some(by_key.and_signature(&self.tenant_id, &signed.signature))
            }
            (Some(key), None) => Some(of(Key::Header(key), &Sha256::digest(body).into())),
            (None, Some(signed)) => {
                Some(of(Key::Signature(&signed.signature), &signed.body_sha256))
            }
            (None, None) => None,
        }
    }
}

/// The facts of a verified signature.
#[derive(Debug, Clone, Copy)]
pub struct Signed {
    /// The signature: unique to this very request.
    pub signature: [u8; 32],
    /// The SHA-256 of the body it covers.
    pub body_sha256: [u8; 32],
}

/// [`layer::Auth`] did not run before a handler that needs a caller: a mistake
/// of ours.
#[derive(Debug, thiserror::Error)]
#[error("the request was not authenticated")]
struct NotAuthenticated;

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts
            .extensions
            .remove::<Self>()
            .ok_or_else(|| ApiError::internal(NotAuthenticated))
    }
}
