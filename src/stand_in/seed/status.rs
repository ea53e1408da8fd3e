//! A task's status in one word.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::task::TaskStatus;

/// A task's status as the stand-in writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(in super::super) enum Status {
    /// Never started.
    New,
    /// It waits to be tried again.
    Waiting,
    /// Being executed.
    Executing,
    /// Ended well.
    Success,
    /// Ended with a result code.
    Failed,
}

impl From<TaskStatus> for Status {
    fn from(status: TaskStatus) -> Self {
        match status {
            TaskStatus::New => Self::New,
            TaskStatus::Waiting => Self::Waiting,
            TaskStatus::Executing => Self::Executing,
            TaskStatus::Success => Self::Success,
            TaskStatus::Failed => Self::Failed,
        }
    }
}

impl From<Status> for TaskStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::New => Self::New,
            Status::Waiting => Self::Waiting,
            Status::Executing => Self::Executing,
            Status::Success => Self::Success,
            Status::Failed => Self::Failed,
        }
    }
}

/// The text is no status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be NEW, WAITING, EXECUTING, SUCCESS or FAILED")]
pub(in super::super) struct NotAStatus;

impl FromStr for Status {
    type Err = NotAStatus;

    fn from_str(text: &str) -> Result<Self, NotAStatus> {
        let mut all = TaskStatus::ALL.into_iter().map(Self::from);
        all.find(|status| status.name() == text).ok_or(NotAStatus)
    }
}

impl Status {
    /// The status in one word.
    #[must_use]
    pub(in super::super) const fn name(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Waiting => "WAITING",
            Self::Executing => "EXECUTING",
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
        }
    }
}
