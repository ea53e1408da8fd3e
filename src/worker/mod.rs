//! The worker protocol over HTTP: one file for each call, and what they share.
//!
//! Contract: `worker.md`, "Worker calls".

mod body;
mod claim;
mod complete;
mod fail;
mod failures;
mod heartbeat;
mod release;
mod report;

pub use self::claim::PATH as CLAIM;
pub use self::complete::PATH as COMPLETE;
pub use self::fail::PATH as FAIL;
pub use self::failures::PATH as FAILURES;
pub use self::heartbeat::PATH as HEARTBEAT;
pub use self::release::PATH as RELEASE;
use crate::task::TaskService;
use crate::web::call::Calls;

/// The calls, for workers' credentials alone.
#[must_use]
pub fn calls() -> Calls<TaskService> {
    Calls::tagged("Workers")
        .with(claim::call())
        .with(heartbeat::call())
        .with(complete::call())
        .with(fail::call())
        .with(release::call())
        .with(failures::call())
}
