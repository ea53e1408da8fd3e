//! The way of a list through ids, in SQL.

use crate::task::TaskId;
use crate::task::list::{Order, Page};

/// Where a page begins, and which way it goes.
pub(super) struct Walk {
    /// Of `ORDER BY`.
    pub(super) direction: &'static str,
    /// What an id of the page is of [`Walk::after`].
    pub(super) comparison: char,
    /// The id that the page begins after; that of no task if it is the first.
    pub(super) after: i64,
}

impl Walk {
    pub(super) fn of(page: Page) -> Self {
        let (direction, comparison, before_all) = match page.order {
            Order::Ascending => ("ASC", '>', 0),
            Order::Descending => ("DESC", '<', i64::MAX),
        };
        Self {
            direction,
            comparison,
            after: page.after.map_or(before_all, TaskId::get),
        }
    }
}
