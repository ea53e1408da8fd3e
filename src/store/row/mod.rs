//! A task as rows of a SQL database: which numbers and texts stand for what.

mod code;
mod history;
mod new;
mod parameters;
mod task;

use std::sync::Arc;

use jiff::Timestamp;

pub(super) use self::code::Code;
pub(super) use self::history::{ActionRow, AttemptRow, MOST_OF_HISTORY, history};
pub(super) use self::new::{NewRow, Request};
pub(super) use self::parameters::{read_parameters, write_parameters};
pub(super) use self::task::{TaskRow, task, tasks};
use crate::task::import::ImportFailure;
use crate::task::repository::StoreError;

/// A row that no version of this program wrote.
#[derive(Debug, thiserror::Error)]
#[error("task {id} is not readable: {column} is wrong")]
pub(super) struct CorruptRow {
    id: i64,
    column: &'static str,
}

impl From<CorruptRow> for StoreError {
    fn from(error: CorruptRow) -> Self {
        Self::Corrupt(Arc::new(error))
    }
}

/// A row of `import_failure`: the user's name, and what was wrong.
pub(super) fn failure((user_name, description): (String, String)) -> ImportFailure {
    ImportFailure {
        user_name,
        description,
    }
}

/// Milliseconds since the Unix epoch.
pub(super) fn millis(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_millisecond)
}

/// A count as SQL has it.
pub(super) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
