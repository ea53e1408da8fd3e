//! KooDrive's "Basic Task Operations" over HTTP: one file for each call, and
//! what all calls share.
//!
//! Contract: `api.md`.

mod create;
mod detail;
mod list;
mod recipient;
mod result;
mod task_item;

pub use self::create::PATH as CREATE;
pub use self::detail::PATH as DETAIL;
pub use self::list::PATH as LIST;
pub use self::recipient::PATH as RECIPIENT;
pub use self::result::PATH as RESULT;
use crate::task::TaskService;
use crate::web::call::Calls;

/// The calls, under KooDrive's name for them.
#[must_use]
pub fn calls() -> Calls<TaskService> {
    Calls::tagged("Basic Task Operations")
        .with(create::call())
        .with(list::call())
        .with(detail::call())
        .with(result::call())
        .with(recipient::call())
}
