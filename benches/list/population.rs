//! The tasks that a store is filled with.
//!
//! Everything about a task follows from its number, so that any answer of the
//! service can be checked without keeping millions of tasks in mind.

use std::time::SystemTime;

use kootask::auth::stand_in;
use serde::{Deserialize, Serialize};

/// How far the tasks reach back.
const SPAN_MILLIS: u64 = 90 * 24 * 60 * 60 * 1000;
/// The zero of a task id's timestamp (`task-id.md`).
const EPOCH_MILLIS: u64 = 1_546_272_000_000;
/// The node that made the ids.
const NODE: u64 = 1;
/// How many tasks have failed.
const FAILED: u64 = 100;
/// The most tasks that have not been started.
const MOST_NEW: u64 = 1000;
/// The tenant whose tasks nobody here may see.
const OTHER_TENANT: &str = "other";

/// The tasks of one store, numbered from the oldest.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Population {
    pub(crate) tasks: u64,
    first_millis: u64,
}

/// The `status` of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    New = 0,
    Success = 2,
    Failed = 3,
}

/// A task.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) id: i64,
    pub(crate) tenant: &'static str,
    pub(crate) user: u64,
    pub(crate) status: Status,
    pub(crate) created_millis: u64,
    pub(crate) parameters: Parameters,
}

/// What a task was created with.
#[derive(Debug)]
pub(crate) enum Parameters {
    Transfer { source: u64, destination: u64 },
    Import { result: u64 },
}

impl Population {
    /// So many tasks, spread evenly over the time up to now.
    pub(crate) fn until_now(tasks: u64) -> Self {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .expect("a clock after 1970")
            .as_millis();
        Self {
            tasks,
            first_millis: u64::try_from(now).expect("a clock of our time") - SPAN_MILLIS,
        }
    }

    /// The task of this number.
    pub(crate) fn task(self, number: u64) -> Task {
        let created_millis = self.first_millis + number * SPAN_MILLIS / self.tasks;
        let status = self.status(number);
        let is_import = number % 100 == 51;
        // Imports only, and none of those that the rare status is to find.
        let is_others = number % 1000 == 951 && status != Status::Failed;
        Task {
            id: self.id(number),
            tenant: if is_others {
                OTHER_TENANT
            } else {
                stand_in::TENANT
            },
            user: 1_505_084_218_764_547_200 + number % 97,
            status,
            created_millis,
            parameters: if is_import {
                Parameters::Import {
                    result: 1_000_000_000_000_000_000 + number,
                }
            } else {
                Parameters::Transfer {
                    source: source(number),
                    destination: destination(number),
                }
            },
        }
    }

    /// The id of the task of this number; that of no task, one beyond the last.
    pub(crate) fn id(self, number: u64) -> i64 {
        let millis = self.first_millis + number * SPAN_MILLIS / self.tasks - EPOCH_MILLIS;
        let sequence = scatter(number) % 128;
        (millis << 23 | NODE << 7 | sequence).cast_signed()
    }

    /// The id of no task, made by another node than all that are there.
    pub(crate) fn unknown_id(self, number: u64) -> i64 {
        self.id(number) | 1 << 16
    }

    /// The numbers of the tasks that have failed, oldest first.
    pub(crate) fn failed(self) -> impl Iterator<Item = u64> {
        (0..FAILED).map(move |nth| nth * self.failed_every())
    }

    fn status(self, number: u64) -> Status {
        if number >= self.tasks - self.not_started() {
            Status::New
        } else if number.is_multiple_of(self.failed_every())
            && number / self.failed_every() < FAILED
        {
            Status::Failed
        } else {
            Status::Success
        }
    }

    /// How many of the newest tasks have not been started.
    fn not_started(self) -> u64 {
        MOST_NEW.min(self.tasks / 10)
    }

    fn failed_every(self) -> u64 {
        (self.tasks - self.not_started()) / FAILED
    }
}

impl Task {
    /// Whether the caller of the bench may see it.
    pub(crate) fn is_own(&self) -> bool {
        self.tenant == stand_in::TENANT
    }

    /// The `task_type` of the wire.
    pub(crate) fn task_type(&self) -> u8 {
        match self.parameters {
            Parameters::Transfer { .. } => 0,
            Parameters::Import { .. } => 1,
        }
    }

    /// The name that the service gives it, having no directory of users.
    pub(crate) fn name(&self) -> String {
        match self.parameters {
            Parameters::Transfer { source, .. } => source.to_string(),
            Parameters::Import { result } => format!("batch-import-{result}"),
        }
    }
}

/// The source user of the transfer of this number, of 19 digits; another for
/// each number, also of those beyond the last task.
pub(crate) fn source(number: u64) -> u64 {
    1_000_000_000_000_000_000 + scatter(number)
}

/// The recipient of the transfer of this number; never a source user.
pub(crate) fn destination(number: u64) -> u64 {
    6_000_000_000_000_000_000 + scatter(number) / 2
}

/// Another number below 2^62 for each below 2^62, in no visible order.
fn scatter(number: u64) -> u64 {
    const BITS: u64 = (1 << 62) - 1;
    let number = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) & BITS;
    let number = (number ^ number >> 31).wrapping_mul(0xBF58_476D_1CE4_E5B9) & BITS;
    number ^ number >> 29
}
