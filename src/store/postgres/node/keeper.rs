//! Keeps a node leased.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use tokio::time::Instant;

use super::lease::{LEASE, Lease, Written, free_nodes};
use super::skew::Skew;
use super::{HeldNode, NodeIds};
use crate::store::postgres::connection::ANSWER_TIMEOUT;
use crate::task::TaskId;
use crate::task::clock::SharedClock;
use crate::task::id::IdGenerator;
use crate::task::repository::StoreError;

/// How often the lease is renewed.
const RENEWAL: Duration = Duration::from_secs(4);
/// How soon a renewal that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long a renewal is waited for as long as the lease is sure. There is time
/// for another, and creates wait meanwhile.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long after it asked for a lease the holder is sure of it. The rest is for
/// clocks that do not run equally fast.
const SURE: Duration = Duration::from_secs(12);
/// How far ahead of the clock the next id of a free node may be, to be waited
/// for.
const MOST_AHEAD: Duration = Duration::from_secs(1);
/// The searches for a free node before there seems to be none.
const SEARCHES: u32 = 3;

/// Keeps a node leased for [`NodeIds`].
pub(in crate::store::postgres) struct LeaseKeeper {
    ids: Arc<NodeIds>,
    /// The one node to hold; any if `None`.
    wanted: Option<u16>,
    clock: SharedClock,
    skew: Skew,
    pub(super) due: Instant,
}

/// There is no node to be had.
#[derive(Debug, thiserror::Error)]
enum NoNode {
    #[error("node {0} is held by another instance")]
    Held(u16),
    #[error(
        "no node is free: each of the 65,536 nodes is held by an instance, or its task ids are \
         ahead of this machine's clock"
    )]
    NoneFree,
}

impl LeaseKeeper {
    /// A keeper that holds nothing yet.
    pub(in crate::store::postgres) fn new(wanted: Option<u16>, clock: SharedClock) -> Self {
        Self {
            ids: Arc::new(NodeIds::new(wanted.is_some())),
            wanted,
            clock,
            skew: Skew::default(),
            due: Instant::now(),
        }
    }

    /// Whether there is a certain node to hold, and it is not held.
    pub(in crate::store::postgres) fn waits_for_its_node(&self) -> bool {
        self.wanted.is_some() && self.ids.state.borrow().held.is_none()
    }

    /// The node that is held, if one is.
    pub(in crate::store::postgres) fn node(&self) -> Option<u16> {
        let state = self.ids.state.borrow();
        state.held.as_ref().map(|held| held.lease.node)
    }

    pub(in crate::store::postgres) fn ids(&self) -> Arc<NodeIds> {
        Arc::clone(&self.ids)
    }

    /// Waits until the lease is to be renewed.
    pub(in crate::store::postgres) async fn due(&self) {
        tokio::select! {
            () = tokio::time::sleep_until(self.due) => {}
            () = self.ids.demand.notified() => {}
        }
    }

    /// How long [`LeaseKeeper::keep`] is waited for at this moment.
    pub(in crate::store::postgres) fn patience(&self, now: Instant) -> Duration {
        match &self.ids.state.borrow().held {
            Some(held) if now < held.sure_until => PATIENCE,
            _ => ANSWER_TIMEOUT,
        }
    }

    /// Renews the lease or, where that cannot be, takes one. `now` is a moment
    /// before the call.
    ///
    /// # Errors
    ///
    /// When there is no node to be had; every [`StoreError`] of the database. The
    /// caller tells it to [`LeaseKeeper::failed`].
    pub(in crate::store::postgres) async fn keep(
        &mut self,
        connection: &mut PgConnection,
        now: Instant,
    ) -> Result<(), StoreError> {
        let before = self.clock.now();
        let (written, ids) = match self.renew(connection).await? {
            Some(renewed) => renewed,
            None => self.take(connection).await?,
        };
        let Written { lease, at } = written;
        self.skew.observe(before..=self.clock.now(), at);
        self.due = after(now, RENEWAL);
        self.ids.state.send_modify(|state| {
            if state.failure.take().is_some() {
                tracing::info!(node = lease.node, "the node's lease is renewed again");
            }
            state.held = Some(HeldNode {
                lease,
                ids,
                sure_until: after(now, SURE),
            });
        });
        Ok(())
    }

    /// The lease could not be kept, at this moment.
    pub(in crate::store::postgres) fn failed(&mut self, error: StoreError, now: Instant) {
        self.due = after(now, RETRY);
        self.ids.state.send_modify(|state| {
            // Not with each retry.
            if state.failure.is_none() {
                tracing::error!(%error, "the node's lease cannot be renewed for now");
            }
            state.failure = Some(error);
        });
    }

    /// Gives the node back, if one is held. No id is made after that.
    pub(in crate::store::postgres) async fn release(
        self,
        connection: &mut PgConnection,
    ) -> Result<(), StoreError> {
        let held = self
            .ids
            .state
            .send_replace(super::State {
                held: None,
                failure: Some(StoreError::Closed),
            })
            .held;
        let Some(held) = held else {
            return Ok(());
        };
        // One id more, which nobody gets, is above all that were made. Where the
        // clock has none, the range stays reserved as it is.
        let ids_below = held.ids.next_id().unwrap_or(held.lease.ids_below);
        Ok(held.lease.release(connection, ids_below).await?)
    }

    /// Renews the lease; `None` if there is none, or another instance has taken
    /// the node.
    async fn renew(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Option<(Written, Arc<IdGenerator>)>, StoreError> {
        let held = self.ids.state.borrow().held.clone();
        let Some(HeldNode { lease, ids, .. }) = held else {
            return Ok(None);
        };
        if self.ids.wants_another_node(&ids) {
            let taken = self.take(connection).await?;
            tracing::warn!(
                node = lease.node,
                "this machine's clock was set back: the node's ids are ahead of it, and another \
                 node is used"
            );
            lease.release(connection, lease.ids_below).await?;
            return Ok(Some(taken));
        }
        if let Some(written) = lease.renew(connection, self.reach(LEASE)).await? {
            return Ok(Some((written, ids)));
        }
        tracing::warn!(
            node = lease.node,
            "the node was not renewed in time and another instance has taken it, or its lease was \
             deleted"
        );
        self.ids.state.send_modify(|state| state.held = None);
        Ok(None)
    }

    async fn take(
        &self,
        connection: &mut PgConnection,
    ) -> Result<(Written, Arc<IdGenerator>), StoreError> {
        let written = match self.wanted {
            Some(node) => Lease::take(connection, node, self.reach(LEASE))
                .await?
                .ok_or_else(|| StoreError::failed(NoNode::Held(node)))?,
            None => self.take_any(connection).await?,
        };
        let lease = written.lease;
        tracing::info!(node = lease.node, "holds a node");
        tracing::Span::current().record("node", lease.node);
        if lease.ids_after > Some(self.reach(MOST_AHEAD)) {
            let until = lease.ids_after.map(|id| id.created_at().to_string());
            tracing::warn!(
                node = lease.node,
                until,
                "the node's ids are ahead of this machine's clock: no task is created until then"
            );
        }
        let ids = IdGenerator::new(lease.node, lease.ids_after, self.clock.clone());
        Ok((written, Arc::new(ids)))
    }

    async fn take_any(&self, connection: &mut PgConnection) -> Result<Written, StoreError> {
        for _ in 0..SEARCHES {
            for node in free_nodes(connection, self.reach(MOST_AHEAD)).await? {
                let node = u16::try_from(node).map_err(StoreError::failed)?;
                // Another instance may have been faster.
                if let Some(taken) = Lease::take(connection, node, self.reach(LEASE)).await? {
                    return Ok(taken);
                }
            }
        }
        Err(StoreError::failed(NoNode::NoneFree))
    }

    /// The first id that can be made when this much time has passed.
    fn reach(&self, ahead: Duration) -> TaskId {
        let now = self.clock.now();
        TaskId::first_at(now.checked_add(ahead).unwrap_or(now))
    }
}

fn after(now: Instant, by: Duration) -> Instant {
    now.checked_add(by).unwrap_or(now)
}
