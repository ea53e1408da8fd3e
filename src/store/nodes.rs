//! The nodes of a store that has them all to itself.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::task::TaskId;
use crate::task::clock::SharedClock;
use crate::task::id::{IdError, IdGenerator, MAX_STEP_BACK};

/// Makes ids under one node, and under another one when the clock is behind the
/// ids of the first: those of each strictly increase.
pub(super) struct OwnNodes {
    clock: SharedClock,
    state: Mutex<State>,
}

struct State {
    ids: IdGenerator,
    node: u16,
    /// The nodes that ids were drawn of since the start.
    drawn: BTreeSet<u16>,
}

/// What a store holds, as seen from a moment.
#[derive(Debug, Default)]
pub(super) struct StoredIds {
    /// The newest id that is not of a later time.
    pub(super) last: Option<TaskId>,
    /// The newest id of all.
    pub(super) newest: Option<TaskId>,
    /// The nodes of the ids of a later time.
    pub(super) later: BTreeSet<u16>,
}

impl OwnNodes {
    /// The first id whose time is so far ahead that it is not waited for.
    pub(super) fn first_later(clock: &SharedClock) -> TaskId {
        let now = clock.now();
        TaskId::first_at(now.checked_add(MAX_STEP_BACK).unwrap_or(now))
    }

    /// Makes ids above those that the store holds, under `preferred` unless its
    /// ids are of a later time.
    pub(super) fn new(preferred: u16, stored: &StoredIds, clock: SharedClock) -> Self {
        let node = free_node(preferred, |node| stored.later.contains(&node));
        // Without any no id is made before the clock has caught up.
        let (node, last) = node.map_or((preferred, stored.newest), |node| (node, stored.last));
        if let Some(newest) = stored.newest
            && !stored.later.is_empty()
        {
            tracing::warn!(
                newest_task = %newest, created_at = %newest.created_at(), clock = %clock.now(), node,
                "there are tasks that are newer than the clock: it is behind, or was ahead; ids \
                 are made under a node that has none of them, and new tasks come before those in \
                 lists"
            );
        }
        Self {
            state: Mutex::new(State {
                ids: IdGenerator::new(node, last, clock.clone()),
                node,
                drawn: BTreeSet::from([node]),
            }),
            clock,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next id.
    ///
    /// [`IdError::ClockBehind`] is an occasion to [`OwnNodes::change`].
    pub(super) fn next_id(&self) -> Result<TaskId, IdError> {
        self.state().ids.next_id()
    }

    /// Goes on under another node, if the clock still is behind; `stored` was seen
    /// after it was.
    pub(super) fn change(&self, stored: &StoredIds) -> Result<(), IdError> {
        let mut state = self.state();
        match state.ids.next_id() {
            Err(IdError::ClockBehind(behind)) => {
                let is_taken = |node| state.drawn.contains(&node) || stored.later.contains(&node);
                let node = free_node(state.node, is_taken).ok_or(IdError::ClockBehind(behind))?;
                tracing::warn!(
                    behind_ms = u64::try_from(behind.as_millis()).unwrap_or(u64::MAX),
                    node,
                    "the clock was set back: ids are made under another node"
                );
                state.ids = IdGenerator::new(node, stored.last, self.clock.clone());
                state.node = node;
                state.drawn.insert(node);
                Ok(())
            }
            // Somebody else has changed it.
            _ => Ok(()),
        }
    }
}

/// The first node from `preferred` on that is not taken.
fn free_node(preferred: u16, is_taken: impl Fn(u16) -> bool) -> Option<u16> {
    (0..=u16::MAX)
        .map(|further| preferred.wrapping_add(further))
        .find(|node| !is_taken(*node))
}
