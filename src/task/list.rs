//! Which tasks a list shows, and in which order.

use super::{TaskId, TaskStatus, TaskType};

/// The order of a list, by id and thus by time of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Oldest first, as KooDrive lists.
    #[default]
    Ascending,
    /// Newest first.
    Descending,
}

/// A choice of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter {
    task_type: Option<TaskType>,
    /// A bit for each status.
    statuses: u8,
}

impl Default for Filter {
    fn default() -> Self {
        Self::new(None, &[])
    }
}

impl Filter {
    /// Tasks of this type, any if `None`, in one of these statuses, any if
    /// there are none.
    #[must_use]
    pub fn new(task_type: Option<TaskType>, statuses: &[TaskStatus]) -> Self {
        let statuses = if statuses.is_empty() {
            &TaskStatus::ALL
        } else {
            statuses
        };
        let bits = statuses.iter().fold(0, |bits, status| bits | bit(*status));
        Self {
            task_type,
            statuses: bits,
        }
    }

    /// The pairs of type and status that are chosen.
    pub fn states(self) -> impl Iterator<Item = (TaskType, TaskStatus)> {
        let types = TaskType::ALL.into_iter();
        types
            .filter(move |kind| self.task_type.is_none_or(|chosen| chosen == *kind))
            .flat_map(move |kind| {
                let statuses = TaskStatus::ALL.into_iter();
                let chosen = statuses.filter(move |status| self.statuses & bit(*status) != 0);
                chosen.map(move |status| (kind, status))
            })
    }
}

fn bit(status: TaskStatus) -> u8 {
    let position = TaskStatus::ALL.iter().position(|other| *other == status);
    1_u8.checked_shl(position.unwrap_or_default() as u32)
        .unwrap_or_default()
}

/// A page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Which tasks.
    pub filter: Filter,
    /// In which order.
    pub order: Order,
    /// The last task of the page before; the list begins after it.
    pub after: Option<TaskId>,
    /// The most tasks, 1–101: one more than a page tells whether there are more.
    pub limit: u16,
}
