//! Whose tasks, and of which types: nothing reaches a task without saying so.

use std::sync::Arc;

use super::{Task, TaskId, TaskType, TenantId};

/// Tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tenants {
    /// Every tenant.
    All,
    /// These.
    These(Arc<[TenantId]>),
}

impl Tenants {
    /// Whether the tenant is one of them.
    #[must_use]
    pub fn contain(&self, tenant_id: &TenantId) -> bool {
        match self {
            Self::All => true,
            Self::These(tenants) => tenants.contains(tenant_id),
        }
    }
}

/// The tasks that somebody may see and move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Of these tenants.
    pub tenants: Tenants,
    /// Of these types.
    pub task_types: Arc<[TaskType]>,
}

impl Scope {
    /// All tasks of one tenant.
    #[must_use]
    pub fn tenant(tenant_id: TenantId) -> Self {
        Self {
            tenants: Tenants::These([tenant_id].into()),
            task_types: TaskType::ALL.into(),
        }
    }

    /// All tasks of all tenants.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            tenants: Tenants::All,
            task_types: TaskType::ALL.into(),
        }
    }

    /// Whether the task is one of them.
    #[must_use]
    pub fn covers(&self, task: &Task) -> bool {
        self.tenants.contain(&task.tenant_id)
            && self.task_types.contains(&task.parameters.task_type())
    }
}

/// A task that a command is for: one outside the scope is as good as none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The task.
    pub id: TaskId,
    /// Where it must be found.
    pub scope: Scope,
}
