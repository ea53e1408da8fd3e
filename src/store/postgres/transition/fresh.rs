//! What this instance has created since it was last asked: a waiting claim gets it
//! without looking for it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::store::row::NewRow;
use crate::task::{TaskId, TaskType, TenantId};

/// The first task of each tenant and type that was committed.
#[derive(Default)]
pub(in crate::store::postgres) struct Fresh {
    first: Mutex<HashMap<(TenantId, TaskType), TaskId>>,
    committed: Notify,
}

impl Fresh {
    /// These were committed, in the order of their ids.
    pub(in crate::store::postgres) fn created<'a>(&self, rows: impl Iterator<Item = &'a NewRow>) {
        let mut last = None;
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            let pair = (&row.task.tenant_id, row.task.parameters.task_type());
            // Most are of the same as the one before.
            if last.replace(pair) != Some(pair) {
                let known = first.entry((pair.0.clone(), pair.1)).or_insert(row.id);
                *known = row.id.min(*known);
            }
        }
        drop(first);
        if last.is_some() {
            self.committed.notify_one();
        }
    }

    /// What came since this was last asked.
    pub(super) fn take(&self) -> HashMap<(TenantId, TaskType), TaskId> {
        std::mem::take(&mut *self.first.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until something has come.
    pub(super) async fn come(&self) {
        self.committed.notified().await;
    }
}
