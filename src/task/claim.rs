//! What a worker asks for when it wants work.
//!
//! Contract: `worker.md`, "Worker calls".

use std::time::Duration;

use super::attempt::Claim;
use super::repository::StoreError;
use super::scope::Scope;

/// The most leases that a credential holds at a time.
pub const MAX_LEASES: usize = 10_000;

/// How long a claim waits at most once the service is about to end: so little that it
/// holds no shutdown up, and so much that a worker does not ask without end.
pub const LAST_WAIT: Duration = Duration::from_millis(500);

/// A request for tasks to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRequest {
    /// By whom, and under which lease. The same `claim_id` again, of the same
    /// holder, gets the same tasks as long as they are held.
    pub claim: Claim,
    /// Which tasks may be given.
    pub scope: Scope,
    /// The most tasks, 1–100.
    pub max: u16,
    /// How long is waited for the first of them, 0–30 s.
    pub wait: Duration,
}

/// Why nothing was claimed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClaimError {
    /// The credential holds as many leases as it may: [`MAX_LEASES`].
    #[error("the credential holds {MAX_LEASES} leases")]
    TooManyLeases,
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
