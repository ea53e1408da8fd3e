//! The store of the local stand-in: tasks live as long as the process.

mod state;

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use self::state::State;
use super::StoreContext;
use super::nodes::{Held, OwnNodes};
use crate::task::attempt::History;
use crate::task::id::IdError;
use crate::task::idempotency::Idempotency;
use crate::task::import::ImportFailure;
use crate::task::key_expiry::KeyExpiry;
use crate::task::life_cycle::Command;
use crate::task::list::Page;
use crate::task::repository::{ApplyError, Created, StoreError, TaskRepository};
use crate::task::scope::Target;
use crate::task::{Identifier, NewTask, Task, TaskId, TenantId};

/// Tasks in memory.
pub struct MemoryStore {
    ids: OwnNodes,
    context: StoreContext,
    state: Mutex<State>,
    /// Locked within the state.
    key_expiry: Mutex<KeyExpiry>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new(context: StoreContext) -> Self {
        Self {
            ids: OwnNodes::new(
                context.node.unwrap_or(0),
                &Held::default(),
                context.clock.clone(),
            ),
            key_expiry: Mutex::new(KeyExpiry::resume(Vec::new(), context.clock.elapsed())),
            context,
            state: Mutex::default(),
        }
    }

    /// The state, unless the store is closed.
    fn state(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        // No code panics while it holds the lock half-changed.
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            Err(StoreError::Closed)
        } else {
            Ok(state)
        }
    }

    /// The first task whose key has not expired.
    fn first_kept(&self) -> TaskId {
        let clock = &self.context.clock;
        let mut expiry = self
            .key_expiry
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        TaskId::first_at(expiry.observe(clock.now(), clock.elapsed()))
    }
}

/// The answer of an operation that needs no waiting.
fn ready<'a, T: Send + 'a>(answer: Result<T, StoreError>) -> BoxFuture<'a, Result<T, StoreError>> {
    std::future::ready(answer).boxed()
}

impl TaskRepository for MemoryStore {
    fn create(
        &self,
        task: NewTask,
        idempotency: Option<Idempotency>,
    ) -> BoxFuture<'_, Result<Created, StoreError>> {
        Box::pin(async move {
            loop {
                let wait = {
                    let mut state = self.state()?;
                    if let Some(idempotency) = idempotency {
                        state.forget_keys_before(self.first_kept());
                        if let Some(first) = state.first_use(idempotency) {
                            return Ok(first);
                        }
                    }
                    match self.ids.next_id() {
                        Ok(id) => {
                            state.insert(Task::new(id, task), idempotency);
                            return Ok(Created::New(id));
                        }
                        Err(IdError::Wait(wait)) => wait,
                        Err(IdError::ClockBehind(_)) => {
                            let later = OwnNodes::first_later(&self.context.clock);
                            self.ids.change(&state.held(later))?;
                            continue;
                        }
                    }
                };
                tokio::time::sleep(wait).await;
            }
        })
    }

    fn find<'a>(
        &'a self,
        tenant_id: &'a TenantId,
        id: TaskId,
    ) -> BoxFuture<'a, Result<Option<Task>, StoreError>> {
        ready(self.state().map(|state| state.find(tenant_id, id).cloned()))
    }

    fn list<'a>(
        &'a self,
        tenant_id: &'a TenantId,
        page: Page,
    ) -> BoxFuture<'a, Result<Vec<Task>, StoreError>> {
        ready(self.state().map(|state| state.list(tenant_id, page)))
    }

    fn newest_transfer<'a>(
        &'a self,
        tenant_id: &'a TenantId,
        src_user_id: &'a Identifier,
    ) -> BoxFuture<'a, Result<Option<Task>, StoreError>> {
        ready(
            self.state()
                .map(|state| state.newest_transfer(tenant_id, src_user_id).cloned()),
        )
    }

    fn newest_import<'a>(
        &'a self,
        tenant_id: &'a TenantId,
        user_id: &'a Identifier,
    ) -> BoxFuture<'a, Result<Option<Task>, StoreError>> {
        ready(
            self.state()
                .map(|state| state.newest_import(tenant_id, user_id).cloned()),
        )
    }

    fn failures<'a>(
        &'a self,
        task: &'a Task,
        from: u64,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<ImportFailure>, StoreError>> {
        ready(self.state().map(|state| state.failures(task, from, limit)))
    }

    fn history<'a>(&'a self, task: &'a Task) -> BoxFuture<'a, Result<History, StoreError>> {
        ready(self.state().map(|state| state.history(task.id)))
    }

    fn apply(&self, target: Target, command: Command) -> BoxFuture<'_, Result<Task, ApplyError>> {
        let at = self.context.clock.now();
        let state = self.state().map_err(ApplyError::from);
        let applied = state.and_then(|mut state| state.apply(&target, &command, at));
        std::future::ready(applied).boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        if let Ok(mut state) = self.state() {
            state.closed = true;
        }
        std::future::ready(()).boxed()
    }
}
