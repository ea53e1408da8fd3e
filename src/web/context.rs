//! What every layer knows of the request at hand.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::FromRequestParts;
use http::Extensions;
use http::request::Parts;
use tokio::time::Instant;

use super::error::{ApiError, Violation};
use super::language::Language;
use super::peer::Peer;
use super::trace_id::TraceId;

/// The bounds of a request.
#[derive(Debug, Clone, Copy)]
pub struct RequestLimits {
    /// The most bytes a body may have.
    pub body: usize,
    /// How long a request may take, from its headers to its answer.
    pub timeout: std::time::Duration,
}

/// The context of one request. The layers below add what they learn, so that
/// the request's log line can tell it.
#[derive(Debug)]
pub struct RequestContext {
    peer: Option<Arc<Peer>>,
    trace_id: TraceId,
    trace_id_violation: Option<Violation>,
    language: Language,
    deadline: Instant,
    /// How much longer than others it may take.
    allowance: OnceLock<Duration>,
    body_limit: usize,
    own_body_limit: OnceLock<usize>,
    user_id: OnceLock<Box<str>>,
    tenant_id: OnceLock<Box<str>>,
    credential: OnceLock<Box<str>>,
    task_id: OnceLock<Box<str>>,
}

/// The layer that makes the context did not run: a mistake of ours.
#[derive(Debug, thiserror::Error)]
#[error("the request has no context")]
struct NoContext;

impl RequestContext {
    /// The context of a request of `peer` that came in at `started` with these
    /// headers.
    #[must_use]
    pub fn new(
        headers: &http::HeaderMap,
        peer: Option<Arc<Peer>>,
        limits: RequestLimits,
        started: Instant,
    ) -> Self {
        let (trace_id, trace_id_violation) = match TraceId::of(headers) {
            Ok(given) => (given, None),
            Err(violation) => (None, Some(violation)),
        };
        Self {
            peer,
            trace_id: trace_id.unwrap_or_else(TraceId::generate),
            trace_id_violation,
            language: Language::of(headers),
            // A timeout too long to be added is no timeout.
            deadline: started.checked_add(limits.timeout).unwrap_or(started),
            allowance: OnceLock::new(),
            body_limit: limits.body,
            own_body_limit: OnceLock::new(),
            user_id: OnceLock::new(),
            tenant_id: OnceLock::new(),
            credential: OnceLock::new(),
            task_id: OnceLock::new(),
        }
    }

    /// The context that the outermost layer put into the request.
    ///
    /// # Errors
    ///
    /// [`ApiError::Internal`] if it did not.
    pub fn of(extensions: &Extensions) -> Result<Arc<Self>, ApiError> {
        extensions
            .get::<Arc<Self>>()
            .cloned()
            .ok_or_else(|| ApiError::internal(NoContext))
    }

    /// The other end of the connection; `None` for a request that came by none.
    #[must_use]
    pub fn peer(&self) -> Option<&Peer> {
        self.peer.as_deref()
    }

    /// The trace id, the client's or a generated one.
    #[must_use]
    pub const fn trace_id(&self) -> &TraceId {
        &self.trace_id
    }

    /// What is wrong with the client's trace id, if anything.
    #[must_use]
    pub const fn trace_id_violation(&self) -> Option<Violation> {
        self.trace_id_violation
    }

    /// The language of the answer.
    #[must_use]
    pub const fn language(&self) -> Language {
        self.language
    }

    /// When the request must be answered.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        let allowance = self.allowance.get().copied().unwrap_or_default();
        self.deadline
            .checked_add(allowance)
            .unwrap_or(self.deadline)
    }

    /// Allows the request to take this much longer: what it asked the service to
    /// wait. Of several allowances the first counts.
    pub fn allow(&self, longer: Duration) {
        self.allowance.get_or_init(|| longer);
    }

    /// The most bytes the body may have.
    #[must_use]
    pub fn body_limit(&self) -> usize {
        let own = self.own_body_limit.get().copied().unwrap_or_default();
        own.max(self.body_limit)
    }

    /// Allows the body at least this many bytes, since its call takes long ones.
    pub fn allow_body(&self, bytes: usize) {
        self.own_body_limit.get_or_init(|| bytes);
    }

    /// The user that the request claims to act as, once known.
    #[must_use]
    pub fn user_id(&self) -> Option<&str> {
        self.user_id.get().map(AsRef::as_ref)
    }

    /// The tenant of the credential, once it is found good.
    #[must_use]
    pub fn tenant_id(&self) -> Option<&str> {
        self.tenant_id.get().map(AsRef::as_ref)
    }

    /// The name of the credential, once it is known to be one; never its secret.
    #[must_use]
    pub fn credential(&self) -> Option<&str> {
        self.credential.get().map(AsRef::as_ref)
    }

    /// The task that the request is about, once known.
    #[must_use]
    pub fn task_id(&self) -> Option<&str> {
        self.task_id.get().map(AsRef::as_ref)
    }

    /// Notes the user for the log.
    pub fn note_user(&self, user_id: &str) {
        self.user_id.get_or_init(|| user_id.into());
    }

    /// Notes the tenant for the log.
    pub fn note_tenant(&self, tenant_id: &str) {
        self.tenant_id.get_or_init(|| tenant_id.into());
    }

    /// Notes the credential's name, if it has one, for the log.
    pub fn note_credential(&self, name: Option<impl ToString>) {
        if let Some(name) = name {
            self.credential.get_or_init(|| name.to_string().into());
        }
    }

    /// Notes the task's id for the log.
    pub fn note_task(&self, task_id: impl ToString) {
        self.task_id.get_or_init(|| task_id.to_string().into());
    }
}

/// The context as a handler's argument.
#[derive(Debug, Clone)]
pub struct Context(pub Arc<RequestContext>);

impl<S: Sync> FromRequestParts<S> for Context {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        RequestContext::of(&parts.extensions).map(Self)
    }
}
