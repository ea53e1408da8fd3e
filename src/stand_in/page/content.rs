//! What a page shows, gathered. None of it is a poll.

use std::sync::Arc;

use jiff::Timestamp;

use super::super::StandIn;
use super::super::answer::{Refused, Whose};
use super::super::journal::Entry;
use super::super::tenant::Tenant;
use super::super::world::Life;
use super::view::View;
use crate::task::attempt::History;
use crate::task::import::ImportFailure;
use crate::task::repository::TaskRepository;
use crate::task::{Task, TaskId, TaskStatus, TaskType, TenantId};

/// The most tasks of a page.
const TASKS: usize = 50;
/// The most requests of a page.
pub(super) const REQUESTS: usize = 30;
/// The most failed rows of a page.
pub(super) const ROWS: u32 = 50;

/// What a page shows.
pub(super) struct Content {
    pub(super) view: View,
    /// Where the stand-in is.
    pub(super) base: String,
    /// The last event that it shows.
    pub(super) event: u64,
    /// The names of the tenants that are there.
    pub(super) tenants: Vec<TenantId>,
    pub(super) clock: Clock,
    /// How many tasks are in which status; not known of every store.
    pub(super) counts: Option<Counts>,
    /// The newest of the tasks that are meant.
    pub(super) tasks: Vec<Task>,
    /// Whether there are older ones.
    pub(super) has_more: bool,
    pub(super) open: Option<Open>,
    /// The last requests, the newest first.
    pub(super) requests: Vec<Arc<Entry>>,
}

/// How many tasks are in which status.
pub(super) type Counts = Vec<(TaskStatus, usize)>;

/// What a clock shows: a tenant's or, for all tenants, the wall clock.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    pub(super) now: Timestamp,
    pub(super) is_frozen: bool,
}

/// The open task.
pub(super) enum Open {
    /// There is none of this id.
    Gone(TaskId),
    There(Box<OpenTask>),
}

/// A task with all that is known of it.
pub(super) struct OpenTask {
    pub(super) task: Task,
    pub(super) life: Option<Life>,
    pub(super) history: History,
    /// The failed rows from `View::rows` on, and one more if there are more.
    pub(super) rows: Vec<ImportFailure>,
}

impl StandIn {
    /// What this view shows.
    pub(super) async fn content(&self, view: View, base: String) -> Result<Content, Refused> {
        let event = self.0.events.last();
        let mut tasks = Vec::new();
        let most = TASKS.saturating_add(1);
        for tenant in self.tenants_of(&view).await? {
            self.catch_up(&tenant, &mut *tenant.world.lock().await)
                .await?;
            tasks.extend(view.choice.tasks(self, &tenant, most).await?);
        }
        tasks.sort_by_key(|task| std::cmp::Reverse(task.id));
        let has_more = tasks.len() > TASKS;
        tasks.truncate(TASKS);
        let all = self.0.tenants.all();
        Ok(Content {
            base,
            event,
            tenants: all.iter().map(|tenant| tenant.id().clone()).collect(),
            clock: self.clock_of(&view).await?,
            counts: self.counts(&view).await?,
            tasks,
            has_more,
            open: self.open(&view).await?,
            requests: self.0.journal.recent(view.tenant_id(), REQUESTS),
            view,
        })
    }

    /// The tenants of a view.
    pub(super) async fn tenants_of(&self, view: &View) -> Result<Vec<Arc<Tenant>>, Refused> {
        Ok(match &view.whose {
            Whose::One(id) => vec![self.tenant(id).await?],
            Whose::All => self.0.tenants.all(),
        })
    }

    /// The clock of a view.
    pub(super) async fn clock_of(&self, view: &View) -> Result<Clock, Refused> {
        let wall = self.0.wall.now();
        Ok(match &view.whose {
            Whose::One(id) => {
                let clock = *self.tenant(id).await?.clock();
                Clock {
                    now: clock.now(wall),
                    is_frozen: clock.is_frozen(),
                }
            }
            Whose::All => Clock {
                now: wall,
                is_frozen: false,
            },
        })
    }

    /// How many of a view's tenants' tasks are in which status.
    pub(super) async fn counts(&self, view: &View) -> Result<Option<Counts>, Refused> {
        let Some(controls) = self.0.store.controls() else {
            return Ok(None);
        };
        let mut counts = TaskStatus::ALL.map(|status| (status, 0_usize));
        for tenant in self.tenants_of(view).await? {
            for (status, more) in controls.counts(tenant.id())? {
                let count = counts.iter_mut().find(|(of, _)| *of == status);
                if let Some((_, count)) = count {
                    *count = count.saturating_add(more);
                }
            }
        }
        Ok(Some(counts.into()))
    }

    /// The open task of a view.
    pub(super) async fn open(&self, view: &View) -> Result<Option<Open>, Refused> {
        let Some(id) = view.task else {
            return Ok(None);
        };
        for tenant in self.tenants_of(view).await? {
            let (task, life) = {
                let mut world = tenant.world.lock().await;
                self.catch_up(&tenant, &mut world).await?;
                let task = self.0.store.find(tenant.id(), id).await?;
                (task, world.life(id).cloned())
            };
            let Some(task) = task else { continue };
            let history = self.0.store.history(&task).await?;
            let has_rows = task.parameters.task_type() == TaskType::BatchImport;
            let rows = if has_rows {
                self.failures(&task, view.rows, ROWS.saturating_add(1))
                    .await?
            } else {
                Vec::new()
            };
            return Ok(Some(Open::There(Box::new(OpenTask {
                task,
                life,
                history,
                rows,
            }))));
        }
        Ok(Some(Open::Gone(id)))
    }
}

impl View {
    /// The tenant, if it is one.
    pub(super) fn tenant_id(&self) -> Option<&TenantId> {
        match &self.whose {
            Whose::One(id) => Some(id),
            Whose::All => None,
        }
    }
}
