//! What a tenant is set up with: the form of a seed, of an export and of an
//! import.
//!
//! Contract: `stand-in.md`, "Calls".

mod file;
mod form;
mod parameters;
mod status;
mod task;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::file::SeedError;
pub(super) use self::file::read;
pub(super) use self::status::Status;
pub(super) use self::task::TaskForm;
use super::rules::Rule;
use super::text::Text;

/// A tenant's state.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct StateForm {
    /// Where its clock stands still; it goes with the wall clock if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Text<Timestamp>>,
    /// Its tasks.
    #[serde(default)]
    pub tasks: Vec<TaskForm>,
    /// Its rules, the newest last.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

impl StateForm {
    /// Whether it says nothing.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.clock.is_none() && self.tasks.is_empty() && self.rules.is_empty()
    }
}
