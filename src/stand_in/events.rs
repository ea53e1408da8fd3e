//! What happens, for who watches: tasks that changed, requests, resets, clocks.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::tenant::locked;
use crate::task::TenantId;

/// The most events that are kept for who was away.
const MOST: usize = 1024;

/// Something that happened.
#[derive(Debug, Clone)]
pub(super) struct Event {
    /// Its position among all, from 1.
    pub(super) id: u64,
    /// `task`, `request`, `reset` or `clock`.
    pub(super) kind: &'static str,
    /// Whose.
    pub(super) tenant: TenantId,
    /// What, as JSON.
    pub(super) data: Value,
}

/// The last events.
pub(super) struct Events {
    recent: Mutex<(u64, VecDeque<Arc<Event>>)>,
    sender: broadcast::Sender<Arc<Event>>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            recent: Mutex::default(),
            sender: broadcast::Sender::new(MOST),
        }
    }
}

impl Events {
    /// Tells an event; `what` names the task or request.
    pub(super) fn tell(&self, kind: &'static str, tenant: &TenantId, what: Option<(&str, Value)>) {
        let mut data = json!({ "tenant": tenant.as_str() });
        if let (Some(data), Some((name, value))) = (data.as_object_mut(), what) {
            data.insert(name.to_owned(), value);
        }
        let mut recent = locked(&self.recent);
        let (last, kept) = &mut *recent;
        *last = last.saturating_add(1);
        let event = Arc::new(Event {
            id: *last,
            kind,
            tenant: tenant.clone(),
            data,
        });
        if kept.len() >= MOST {
            kept.pop_front();
        }
        kept.push_back(Arc::clone(&event));
        // Told under the lock, so that who subscribes misses none and sees none
        // twice; nobody need listen.
        let _ = self.sender.send(event);
    }

    /// All events to come, and those since the one with this id; `None` in their
    /// place if some of them are gone.
    #[must_use]
    pub(super) fn since(
        &self,
        id: u64,
    ) -> (Option<Vec<Arc<Event>>>, broadcast::Receiver<Arc<Event>>) {
        let recent = locked(&self.recent);
        let (last, kept) = &*recent;
        let first = kept.front().map_or(*last, |event| event.id);
        let is_whole = id <= *last && first <= id.saturating_add(1);
        let missed = kept.iter().filter(|event| event.id > id).map(Arc::clone);
        let missed = is_whole.then(|| missed.collect());
        (missed, self.sender.subscribe())
    }

    /// The id of the last event; 0 before the first.
    #[must_use]
    pub(super) fn last(&self) -> u64 {
        locked(&self.recent).0
    }

    /// All events to come.
    #[must_use]
    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.sender.subscribe()
    }
}
