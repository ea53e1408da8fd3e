//! What there is to be executed, as whoever writes knows it, for whoever asks later.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::task::TaskType;
use crate::task::health::Due;

/// Work of one type. It tells since when the first task waits, and not how long: that
/// goes on while nobody writes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    pub(super) task_type: TaskType,
    /// From when on the first task may be started, in milliseconds since the Unix epoch;
    /// it may be to come.
    pub(super) since: Option<i64>,
    pub(super) leases: usize,
    pub(super) claims_waiting: usize,
}

/// Of every type.
pub(super) type Outlook = [Standing; TaskType::ALL.len()];

/// The work as it is now.
pub(super) fn due(outlook: Outlook, now: Timestamp) -> Vec<Due> {
    let due = |of: Standing| {
        let since = of.since.unwrap_or(i64::MAX);
        let age = now.as_millisecond().saturating_sub(since);
        Due {
            task_type: of.task_type,
            oldest_age: Duration::from_millis(u64::try_from(age).unwrap_or(0)),
            leases: of.leases,
            claims_waiting: of.claims_waiting,
        }
    };
    outlook.map(due).into()
}

/// Where a writer leaves it.
#[derive(Default)]
pub(super) struct Board(Mutex<Option<Outlook>>);

impl Board {
    /// Shows this from now on.
    pub(super) fn show(&self, outlook: Outlook) {
        *self.shown() = Some(outlook);
    }

    /// All who waited were told to come again.
    pub(super) fn nobody_waits(&self) {
        for standing in self.shown().iter_mut().flatten() {
            standing.claims_waiting = 0;
        }
    }

    /// The work as it is now; nothing before the writer has told any.
    pub(super) fn due(&self, now: Timestamp) -> Vec<Due> {
        let shown = *self.shown();
        shown.map(|outlook| due(outlook, now)).unwrap_or_default()
    }

    fn shown(&self) -> MutexGuard<'_, Option<Outlook>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
