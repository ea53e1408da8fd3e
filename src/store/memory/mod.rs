//! The store of the local stand-in: tasks live as long as the process.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;

use super::{Created, StoreContext, StoreError, TaskRepository, when_an_id_is_free};
use crate::task::id::IdGenerator;
use crate::task::idempotency::{self, Digest, Idempotency};
use crate::task::{NewTask, TaskId};

/// Tasks in memory.
pub struct MemoryStore {
    ids: IdGenerator,
    context: StoreContext,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tasks: BTreeMap<TaskId, NewTask>,
    /// What each unexpired key stands for.
    keys: HashMap<Digest, (TaskId, Digest)>,
    /// The keys in the order of their ids, oldest first, to forget them by.
    key_order: VecDeque<(TaskId, Digest)>,
    closed: bool,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new(context: StoreContext) -> Self {
        Self {
            ids: IdGenerator::new(context.node, None, context.clock.clone()),
            context,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_create(
        &self,
        task: &mut Option<NewTask>,
        idempotency: Option<Idempotency>,
    ) -> Result<Created, StoreError> {
        let mut state = self.state();
        if state.closed {
            return Err(StoreError::Closed);
        }
        if let Some(idempotency) = idempotency {
            state.forget_keys_before(TaskId::first_at(idempotency::expiry(
                self.context.clock.now(),
            )));
            if let Some((id, body)) = state.keys.get(&idempotency.key) {
                return Ok(if *body == idempotency.body {
                    Created::Before(*id)
                } else {
                    Created::Mismatch
                });
            }
        }
        let id = self.ids.next_id()?;
        if let Some(idempotency) = idempotency {
            state.keys.insert(idempotency.key, (id, idempotency.body));
            state.key_order.push_back((id, idempotency.key));
        }
        if let Some(task) = task.take() {
            state.tasks.insert(id, task);
        }
        Ok(Created::New(id))
    }
}

impl State {
    fn forget_keys_before(&mut self, first_kept: TaskId) {
        while let Some((_, key)) = self.key_order.pop_front_if(|(id, _)| *id < first_kept) {
            self.keys.remove(&key);
        }
    }
}

impl TaskRepository for MemoryStore {
    fn create(
        &self,
        task: NewTask,
        idempotency: Option<Idempotency>,
    ) -> BoxFuture<'_, Result<Created, StoreError>> {
        let mut task = Some(task);
        Box::pin(when_an_id_is_free(move || {
            self.try_create(&mut task, idempotency)
        }))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.state().closed = true;
        Box::pin(std::future::ready(()))
    }
}
