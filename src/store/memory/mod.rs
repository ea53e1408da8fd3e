//! The store of the local stand-in: tasks live as long as the process.

mod keys;
mod shared;
mod state;
mod tenant;

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use self::shared::Shared;
use super::nodes::{OwnNodes, StoredIds};
use super::{StoreContext, one_more_than_cores};
use crate::task::attempt::History;
use crate::task::claim::{ClaimError, ClaimRequest};
use crate::task::health::Load;
use crate::task::id::IdError;
use crate::task::idempotency::Idempotency;
use crate::task::import::ImportFailure;
use crate::task::key_expiry::KeyExpiry;
use crate::task::life_cycle::Command;
use crate::task::list::Page;
use crate::task::repository::{ApplyError, Controls, Created, Gone, StoreError, TaskRepository};
use crate::task::scope::Target;
use crate::task::{Identifier, NewTask, Task, TaskId, TaskStatus, TenantId};

/// Tasks in memory.
pub struct MemoryStore {
    ids: OwnNodes,
    context: StoreContext,
    shared: Arc<Shared>,
    /// Locked within the state.
    key_expiry: Mutex<KeyExpiry>,
    /// Ends what runs beside requests.
    stop: CancellationToken,
}

impl MemoryStore {
    /// An empty store. Must be called within a runtime.
    #[must_use]
    pub fn new(context: StoreContext) -> Self {
        let shared = Arc::new(Shared::new(
            context.clock.clone(),
            context.attempts,
            Arc::clone(&context.observer),
        ));
        let stop = context.stop.child_token();
        let leading = Arc::clone(&shared).lead_on();
        context
            .tasks
            .spawn(stop.clone().run_until_cancelled_owned(leading));
        Self {
            ids: OwnNodes::new(
                context.node.unwrap_or(0),
                &StoredIds::default(),
                context.clock.clone(),
            ),
            key_expiry: Mutex::new(KeyExpiry::resume(Vec::new(), context.clock.elapsed())),
            context,
            shared,
            stop,
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
                    let mut locked = self.shared.lock()?;
                    let state = &mut locked.state;
                    if let Some(idempotency) = idempotency {
                        state.forget_keys_before(&task.tenant_id, self.first_kept());
                        if let Some(first) = state.first_use(&task.tenant_id, idempotency) {
                            return Ok(first);
                        }
                    }
                    match self.ids.next_id() {
                        Ok(id) => {
                            let task = Task::new(id, task);
                            state.insert(task.clone(), idempotency);
                            self.shared.created(&mut locked, task);
                            return Ok(Created::New(id));
                        }
                        Err(IdError::Wait(wait)) => wait,
                        Err(IdError::ClockBehind(_)) => {
                            let later = OwnNodes::first_later(&self.context.clock);
                            self.ids.change(&state.stored_ids(later))?;
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
        ready(
            self.shared
                .lock()
                .map(|locked| locked.state.find(tenant_id, id).cloned()),
        )
    }

    fn list<'a>(
        &'a self,
        tenant_id: &'a TenantId,
        page: Page,
    ) -> BoxFuture<'a, Result<Vec<Task>, StoreError>> {
        ready(
            self.shared
                .lock()
                .map(|locked| locked.state.list(tenant_id, page)),
        )
    }

    fn newest_transfer<'a>(
        &'a self,
        tenant_id: &'a TenantId,
        src_user_id: &'a Identifier,
    ) -> BoxFuture<'a, Result<Option<Task>, StoreError>> {
        ready(self.shared.lock().map(|locked| {
            locked
                .state
                .newest_transfer(tenant_id, src_user_id)
                .cloned()
        }))
    }

    fn newest_import<'a>(
        &'a self,
        tenant_id: &'a TenantId,
        user_id: &'a Identifier,
    ) -> BoxFuture<'a, Result<Option<Task>, StoreError>> {
        ready(
            self.shared
                .lock()
                .map(|locked| locked.state.newest_import(tenant_id, user_id).cloned()),
        )
    }

    fn failures<'a>(
        &'a self,
        task: &'a Task,
        from: u64,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<ImportFailure>, StoreError>> {
        ready(
            self.shared
                .lock()
                .map(|locked| locked.state.failures(task, from, limit)),
        )
    }

    fn history<'a>(&'a self, task: &'a Task) -> BoxFuture<'a, Result<History, StoreError>> {
        ready(self.shared.lock().map(|locked| locked.state.history(task)))
    }

    fn apply(&self, target: Target, command: Command) -> BoxFuture<'_, Result<Task, ApplyError>> {
        std::future::ready(self.shared.apply(&target, &command)).boxed()
    }

    fn claim(&self, request: ClaimRequest) -> BoxFuture<'_, Result<Vec<Task>, ClaimError>> {
        Box::pin(async move { self.shared.claim(request)?.committed().await? })
    }

    fn drain(&self) {
        self.shared.drain();
    }

    fn controls(&self) -> Option<&dyn Controls> {
        Some(self)
    }

    fn reads_at_a_time(&self) -> usize {
        one_more_than_cores()
    }

    fn load(&self) -> Load {
        Load {
            due: self.shared.due().unwrap_or_default(),
            ..Load::default()
        }
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.stop.cancel();
        self.shared.close();
        std::future::ready(()).boxed()
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Controls for MemoryStore {
    fn create_as(
        &self,
        task: NewTask,
        idempotency: Option<Idempotency>,
        draw: &mut dyn FnMut() -> TaskId,
        first_kept: TaskId,
    ) -> Result<(Created, Gone), StoreError> {
        let mut locked = self.shared.lock()?;
        let state = &mut locked.state;
        if let Some(idempotency) = idempotency {
            state.forget_keys_before(&task.tenant_id, first_kept);
            if let Some(first) = state.first_use(&task.tenant_id, idempotency) {
                return Ok((first, Gone::new()));
            }
        }
        let id = loop {
            let id = draw();
            if state.find(&task.tenant_id, id).is_none() {
                break id;
            }
        };
        let task = Task::new(id, task);
        let gone = state.insert(task.clone(), idempotency);
        self.shared.created(&mut locked, task);
        Ok((Created::New(id), self.shared.removed(&mut locked, gone)))
    }

    fn is_repeated(
        &self,
        tenant_id: &TenantId,
        idempotency: &Idempotency,
        first_kept: TaskId,
    ) -> Result<bool, StoreError> {
        let state = &mut self.shared.lock()?.state;
        state.forget_keys_before(tenant_id, first_kept);
        Ok(state.is_repeated(tenant_id, idempotency))
    }

    fn insert(&self, task: Task) -> Result<Gone, StoreError> {
        let mut locked = self.shared.lock()?;
        let gone = locked.state.insert(task.clone(), None);
        let gone = self.shared.removed(&mut locked, gone);
        self.shared.created(&mut locked, task);
        Ok(gone)
    }

    fn forget(&self, tenant_id: &TenantId) -> Result<(), StoreError> {
        let mut locked = self.shared.lock()?;
        let gone = locked.state.forget(tenant_id);
        self.shared.removed(&mut locked, gone);
        Ok(())
    }

    fn tasks(&self, tenant_id: &TenantId) -> Result<Vec<Task>, StoreError> {
        Ok(self
            .shared
            .lock()?
            .state
            .tasks(tenant_id)
            .cloned()
            .collect())
    }

    fn counts(&self, tenant_id: &TenantId) -> Result<Vec<(TaskStatus, usize)>, StoreError> {
        Ok(self.shared.lock()?.state.counts(tenant_id))
    }

    fn bound(&self, most: usize) {
        if let Ok(mut locked) = self.shared.lock() {
            locked.state.bound(most);
        }
    }
}
