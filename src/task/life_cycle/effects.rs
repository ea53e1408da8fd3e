//! What a store must write beside a task.

use std::time::Duration;

use jiff::Timestamp;

use crate::task::attempt::{Action, ActionKind, Actor, EndedAttempt, Fence};
use crate::task::import::ImportFailure;

/// What a store must write beside the task, in the same commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effects {
    /// Whether the task itself changed.
    pub changed: bool,
    /// What becomes of its lease.
    pub lease: LeaseChange,
    /// An attempt that ended, to be appended.
    pub ended: Option<EndedAttempt>,
    /// Rows to be appended, of the attempt that runs.
    pub failures: Option<NewFailures>,
    /// What a tenant did, to be appended.
    pub action: Option<Action>,
}

/// What becomes of a task's lease. Leases are measured by the store, by a clock
/// that never steps: the machine's monotonic one, or the database's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LeaseChange {
    /// Nothing.
    #[default]
    None,
    /// It stands for this long, from the commit on.
    For(Duration),
    /// It is over.
    Over,
}

/// Rows that an import could not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFailures {
    /// The attempt that they are of.
    pub fence: Fence,
    /// The position of the first of them, from 0.
    pub first: u64,
    /// The rows.
    pub rows: Vec<ImportFailure>,
}

impl Effects {
    pub(super) fn of_change() -> Self {
        Self {
            changed: true,
            ..Self::default()
        }
    }

    pub(super) fn of_action(kind: ActionKind, actor: &Actor, at: Timestamp) -> Self {
        Self {
            changed: true,
            action: Some(Action {
                kind,
                actor: actor.clone(),
                at,
            }),
            ..Self::default()
        }
    }

    /// Whether nothing is to be written or measured anew.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}
