//! How a store is, as far as it knows without being asked to do anything.

use std::time::Duration;

use super::TaskType;

/// Whether something is as it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// It is.
    Ok,
    /// It is not, for this reason.
    Failing(&'static str),
}

impl Check {
    /// Whether it is as it must be.
    #[must_use]
    pub const fn is_ok(self) -> bool {
        matches!(self, Self::Ok)
    }

    /// «ok», or why not.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failing(reason) => reason,
        }
    }
}

/// The health of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Whether the store can still recover by itself. Where it cannot, only another
    /// process helps.
    pub is_alive: bool,
    /// Whether writes are committed, as far as the last of them tells.
    pub store: Check,
    /// Whether the lease of the node is sure; `None` of a store without leases.
    pub node: Option<Check>,
}

impl Health {
    /// Of a store that nothing can happen to.
    pub const GOOD: Self = Self {
        is_alive: true,
        store: Check::Ok,
        node: None,
    };

    /// Whether requests can be served.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.is_alive && self.store.is_ok() && self.node.is_none_or(Check::is_ok)
    }
}

/// How much a store has to do; `None` and empty of what it does not have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Load {
    /// Writes that wait for a commit.
    pub queue_length: Option<usize>,
    /// The most that may wait.
    pub queue_capacity: Option<usize>,
    /// Connections to the database.
    pub connections: Option<usize>,
    /// How long the lease of the node is still sure.
    pub lease: Option<Duration>,
    /// By type, what is to be executed.
    pub due: Vec<Due>,
}

/// Work of one type, as the store knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The type.
    pub task_type: TaskType,
    /// How long the oldest task that could be started waits; zero if none does. A task to be
    /// tried again waits from when it is due.
    pub oldest_age: Duration,
    /// Tasks that workers hold.
    pub leases: usize,
    /// Requests for work that wait for a task of this type at this instance. One that takes
    /// several types counts for each.
    pub claims_waiting: usize,
}
