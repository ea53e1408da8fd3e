//! Which of a tenant's tasks are looked at.

use http::request::Parts;

use super::answer::{self, Refused};
use super::seed::Status;
use super::tenant::Tenant;
use super::{Outcome, StandIn};
use crate::task::list::{Filter, Order, Page};
use crate::task::{Identifier, Task, TaskId, TaskParameters, TaskStatus, TaskType};

/// The most tasks that are read from the store at a time.
const MOST_READ: u16 = 100;

/// A choice of tasks, as `status`, `type`, `q` and `before` of a query make it.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    /// Of this type; any if `None`.
    pub(super) task_type: Option<TaskType>,
    /// In one of these; any if there are none.
    pub(super) statuses: Vec<TaskStatus>,
    /// This is in one of their ids.
    pub(super) text: Option<String>,
    /// They are older.
    pub(super) before: Option<TaskId>,
}

impl Choice {
    /// The choice of a request's query.
    pub(super) fn of(parts: &Parts) -> Result<Self, Refused> {
        let task_type = match answer::parameter(parts, "type")?.as_deref() {
            None => None,
            Some("0") => Some(TaskType::TransferAndDeletion),
            Some("1") => Some(TaskType::BatchImport),
            Some(_) => return Err(Refused::bad("type must be 0 or 1")),
        };
        Ok(Self {
            task_type,
            statuses: statuses(parts, "status")?,
            text: answer::parameter(parts, "q")?,
            before: answer::parsed(parts, "before")?,
        })
    }

    /// The first of a tenant's tasks that are meant, at most `most`, the newest
    /// first.
    pub(super) async fn tasks(
        &self,
        stand_in: &StandIn,
        tenant: &Tenant,
        most: usize,
    ) -> Outcome<Vec<Task>> {
        let mut found = Vec::new();
        let mut after = self.before;
        loop {
            let page = Page {
                filter: Filter::new(self.task_type, &self.statuses),
                order: Order::Descending,
                after,
                limit: MOST_READ,
            };
            let tasks = stand_in.0.store.list(tenant.id(), page).await?;
            after = tasks.last().map(|task| task.id);
            let is_last = tasks.len() < usize::from(MOST_READ);
            found.extend(tasks.into_iter().filter(|task| self.has_text(task)));
            if is_last || found.len() >= most {
                found.truncate(most);
                return Ok(found);
            }
        }
    }

    /// Whether this task is meant.
    pub(super) fn has(&self, task: &Task) -> bool {
        let is_of = |kind| task.parameters.task_type() == kind;
        self.task_type.is_none_or(is_of)
            && (self.statuses.is_empty() || self.statuses.contains(&task.status))
            && self.before.is_none_or(|before| task.id < before)
            && self.has_text(task)
    }

    /// Whether the text that is looked for is in one of the task's ids.
    fn has_text(&self, task: &Task) -> bool {
        let Some(text) = &self.text else {
            return true;
        };
        let has = |id: &Identifier| id.as_str().contains(&**text);
        task.id.to_string().contains(&**text)
            || has(&task.user_id)
            || match &task.parameters {
                TaskParameters::Transfer {
                    src_user_id,
                    dst_user_id,
                } => has(src_user_id) || has(dst_user_id),
                TaskParameters::BatchImport {
                    result_id,
                    org_id,
                    org_user_id,
                } => has(result_id) || has(org_id) || has(org_user_id),
            }
    }
}

/// Statuses by their names, separated by commas.
pub(super) fn statuses(parts: &Parts, name: &str) -> Result<Vec<TaskStatus>, Refused> {
    let text = answer::parameter(parts, name)?.unwrap_or_default();
    let names = text.split(',').filter(|name| !name.is_empty());
    let statuses = names.map(|status| status.parse::<Status>().map(TaskStatus::from));
    statuses
        .collect::<Result<_, _>>()
        .map_err(|error| Refused::bad(format!("{name}: {error}")))
}
