//! What a tenant does to its tasks beyond KooDrive's calls, with the console's
//! credentials: one file for each call.
//!
//! Contract: `worker.md`, "Tenant calls".

mod act;
mod attempts;
mod cancel;
mod failures;
mod retry;

pub use self::attempts::PATH as ATTEMPTS;
pub use self::cancel::PATH as CANCEL;
pub use self::failures::PATH as FAILURES;
pub use self::retry::PATH as RETRY;
use crate::task::TaskService;
use crate::web::call::Calls;

/// The calls.
#[must_use]
pub fn calls() -> Calls<TaskService> {
    Calls::tagged("Tasks and their attempts")
        .with(cancel::call())
        .with(retry::call())
        .with(attempts::call())
        .with(failures::call())
}
