//! Whether requests should be sent here.
//!
//! A latch: it goes from starting to serving to draining, and never back. While
//! it is at serving the store's own health decides.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use serde::Serialize;

use crate::task::health::{Check, Health, Load};
use crate::task::repository::TaskRepository;

/// How far the service is.
#[derive(Default)]
pub(super) struct Readiness {
    /// Not held: a store ends when the service lets it go.
    repository: OnceLock<Weak<dyn TaskRepository>>,
    is_started: AtomicBool,
    is_draining: AtomicBool,
}

/// What `/readyz` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Report {
    status: Status,
    checks: Checks,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ready,
    Starting,
    Draining,
    Failing,
}

/// «ok», or why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Checks {
    store: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'static str>,
}

impl Readiness {
    pub(super) fn opened(&self, repository: &Arc<dyn TaskRepository>) {
        // A service has one store.
        let _ = self.repository.set(Arc::downgrade(repository));
    }

    pub(super) fn started(&self) {
        self.is_started.store(true, Ordering::Release);
    }

    pub(super) fn drain(&self) {
        self.is_draining.store(true, Ordering::Release);
    }

    /// Whether the process can do its work. One that has not begun can, and so can
    /// one that ends.
    pub(super) fn is_alive(&self) -> bool {
        self.is_draining() || self.health().is_none_or(|health| health.is_alive)
    }

    pub(super) fn load(&self) -> Load {
        self.repository()
            .map(|repository| repository.load())
            .unwrap_or_default()
    }

    pub(super) fn report(&self) -> Report {
        let Some(health) = self.health() else {
            return Report {
                status: if self.is_draining() {
                    Status::Draining
                } else {
                    Status::Starting
                },
                checks: Checks {
                    store: "not open yet",
                    node: None,
                },
            };
        };
        let status = if self.is_draining() {
            Status::Draining
        } else if !self.is_started.load(Ordering::Acquire) {
            Status::Starting
        } else if health.is_ready() {
            Status::Ready
        } else {
            Status::Failing
        };
        Report {
            status,
            checks: Checks {
                store: health.store.text(),
                node: health.node.map(Check::text),
            },
        }
    }

    fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Acquire)
    }

    fn health(&self) -> Option<Health> {
        self.repository().map(|repository| repository.health())
    }

    fn repository(&self) -> Option<Arc<dyn TaskRepository>> {
        self.repository.get()?.upgrade()
    }
}

impl Report {
    pub(super) fn is_ready(self) -> bool {
        self.status == Status::Ready
    }

    pub(super) fn json(self) -> String {
        // Plain text and names do not fail to be written.
        serde_json::to_string(&self).unwrap_or_default()
    }
}
