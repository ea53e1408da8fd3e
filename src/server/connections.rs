//! All connections of a listener, and the end of each.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::clock::Clock;
use super::connection::{Connection, Patience, Verdict};
use crate::web::peer::Peer;

/// How often a shutdown looks at what is still in flight.
const DRAIN_ROUND: Duration = Duration::from_millis(25);
/// The rounds in which an idle connection may end by itself.
const POLITE_ROUNDS: usize = 4;
/// The rounds in which the first request of a connection may still come.
const FIRST_REQUEST_ROUNDS: usize = 20;

/// Whether the listener goes on or is about to stop.
#[derive(Debug, Default)]
pub(super) struct Phase(AtomicBool);

impl Phase {
    /// Whether the last answers are being given: each ends its connection.
    pub(super) fn is_draining(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The connections there are.
#[derive(Debug, Default)]
pub(super) struct Connections {
    clock: Arc<Clock>,
    phase: Arc<Phase>,
    entries: Mutex<HashMap<u64, Arc<Connection>>>,
    next: AtomicU64,
}

impl Connections {
    /// A connection begins; it counts among these as long as its entry is kept.
    pub(super) fn begin(&self, peer: Peer) -> Entry<'_> {
        let (clock, phase) = (Arc::clone(&self.clock), Arc::clone(&self.phase));
        let connection = Arc::new(Connection::new(Arc::new(peer), clock, phase));
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.entries().insert(number, Arc::clone(&connection));
        Entry {
            connections: self,
            number,
            connection,
        }
    }

    /// From now on each answer ends its connection.
    pub(super) fn begin_draining(&self) {
        self.phase.0.store(true, Ordering::Relaxed);
    }

    /// Lets a tick pass and ends those for which it is time.
    pub(super) fn sweep(&self, patience: &Patience) {
        self.clock.advance();
        for connection in self.entries().values() {
            connection.decide(connection.judge(patience));
        }
    }

    /// Ends all: those that have nothing in flight at once, the rest when it was
    /// answered, or after `grace`. Waits for their tasks.
    pub(super) async fn drain(&self, tasks: &TaskTracker, grace: Duration) {
        tasks.close();
        let deadline = Instant::now().checked_add(grace);
        for round in 0_usize.. {
            let is_over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            for connection in self.entries().values() {
                // Its first request may be on its way: it was let in before the end.
                if !connection.has_asked() && round < FIRST_REQUEST_ROUNDS && !is_over {
                    continue;
                }
                let has_time = round < POLITE_ROUNDS || connection.is_in_flight();
                connection.decide(if has_time && !is_over {
                    Verdict::Finish
                } else {
                    Verdict::End
                });
            }
            let ended = tokio::time::timeout(DRAIN_ROUND, tasks.wait());
            if ended.await.is_ok() || is_over {
                return;
            }
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection among the others.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    connections: &'a Connections,
    number: u64,
    connection: Arc<Connection>,
}

impl Entry<'_> {
    pub(super) const fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.connections.entries().remove(&self.number);
    }
}
