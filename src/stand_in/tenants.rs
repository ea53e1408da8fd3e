//! The tenants that are there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::clock::TenantClock;
use super::tenant::{Tenant, locked};
use super::{Outcome, StandIn};
use crate::task::TenantId;

/// The most tenants; of more, the one idle longest goes.
pub(super) const MOST_TENANTS: usize = 1000;

/// The tenants by their names.
#[derive(Default)]
pub(super) struct Tenants(Mutex<HashMap<TenantId, Arc<Tenant>>>);

impl Tenants {
    pub(super) fn find(&self, id: &TenantId) -> Option<Arc<Tenant>> {
        locked(&self.0).get(id).map(Arc::clone)
    }

    /// All of them, by name.
    pub(super) fn all(&self) -> Vec<Arc<Tenant>> {
        let mut all: Vec<_> = locked(&self.0).values().map(Arc::clone).collect();
        all.sort_by(|one, other| one.id().cmp(other.id()));
        all
    }

    /// Adds one, unless it is there already; who goes for it.
    fn add(&self, new: &Arc<Tenant>) -> Result<Option<Arc<Tenant>>, Arc<Tenant>> {
        let mut tenants = locked(&self.0);
        if let Some(there) = tenants.get(new.id()) {
            return Err(Arc::clone(there));
        }
        let mut gone = None;
        if tenants.len() >= MOST_TENANTS {
            let idle = tenants.values().min_by_key(|tenant| tenant.last_used());
            let idle = idle.map(|tenant| tenant.id().clone());
            gone = idle.and_then(|id| tenants.remove(&id));
        }
        tenants.insert(new.id().clone(), Arc::clone(new));
        Ok(gone)
    }
}

impl StandIn {
    /// The tenant of this name, which is there and seeded from now on.
    pub(super) async fn tenant(&self, id: &TenantId) -> Outcome<Arc<Tenant>> {
        let shared = &self.0;
        if let Some(tenant) = shared.tenants.find(id) {
            tenant.touch();
            return Ok(tenant);
        }
        let clock = TenantClock::new(shared.first_clock());
        let rules = shared.first_rules();
        let new = Arc::new(Tenant::new(id.clone(), clock, rules, &shared.stop));
        // Whoever finds it waits until it is seeded.
        let mut world = new.world.lock().await;
        match shared.tenants.add(&new) {
            Err(there) => return Ok(there),
            Ok(Some(gone)) => {
                gone.begin_epoch(&shared.stop, 0);
                shared.journal.forget(gone.id());
                if let Some(controls) = shared.store.controls() {
                    controls.forget(gone.id())?;
                }
            }
            Ok(None) => {}
        }
        self.fill(&new, &mut world, &shared.seed.tasks)?;
        drop(world);
        Ok(new)
    }
}
