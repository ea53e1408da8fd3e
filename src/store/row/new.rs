//! A task that is to be created.

use crate::task::idempotency::Idempotency;
use crate::task::{NewTask, TaskId};

/// A create that has no id yet.
pub(in crate::store) struct Request {
    pub(in crate::store) task: NewTask,
    pub(in crate::store) idempotency: Option<Idempotency>,
}

impl Request {
    /// The row of this request.
    pub(in crate::store) fn under(self, id: TaskId) -> NewRow {
        NewRow {
            id,
            task: self.task,
            idempotency: self.idempotency,
        }
    }
}

/// A task to be kept, under its id.
pub(in crate::store) struct NewRow {
    pub(in crate::store) id: TaskId,
    pub(in crate::store) task: NewTask,
    pub(in crate::store) idempotency: Option<Idempotency>,
}

impl NewRow {
    /// What was asked for, to be kept under another id.
    pub(in crate::store) fn into_request(self) -> Request {
        Request {
            task: self.task,
            idempotency: self.idempotency,
        }
    }
}
