//! When a connection must end.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Connection, Protocol};
use crate::server::clock::Tick;

/// What shall become of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(in crate::server) enum Verdict {
    /// It goes on.
    Stay = 0,
    /// It ends once it has answered what it was asked.
    Finish = 1,
    /// It ends now.
    End = 2,
}

/// The bounds of a connection's life, in ticks.
#[derive(Debug, Clone, Copy)]
pub(in crate::server) struct Patience {
    /// For a request's head, from its first byte; for the first of a connection,
    /// from the connection's beginning.
    pub(in crate::server) head: Tick,
    /// Without a request.
    pub(in crate::server) idle: Tick,
    /// For the client to close its side after the service has closed its own.
    pub(in crate::server) linger: Tick,
}

impl Connection {
    /// What is due at this tick.
    pub(in crate::server) fn judge(&self, patience: &Patience) -> Verdict {
        /// The sweeps after which what is unsent counts as held up by the client.
        const HELD_UP: u8 = 4;
        let age = |since: u32| self.clock.now().saturating_sub(since);
        let past = |since: u32, bound: Tick| since != 0 && age(since) > bound;
        let held_up = if self.has_unsent() {
            self.held_up.load(Ordering::Relaxed).saturating_add(1)
        } else {
            0
        };
        self.held_up.store(held_up, Ordering::Relaxed);

        let overdue = |count: &AtomicUsize| count.load(Ordering::Relaxed) > 0;
        let late = self.unsent.get(self.clock.overdue_period());
        if late.is_some_and(overdue)
            || held_up > HELD_UP && self.peer.answers.is_whole_exhausted()
            || past(self.lingers_since.load(Ordering::Relaxed), patience.linger)
        {
            return Verdict::End;
        }
        if self.is_busy() || held_up > 0 {
            return Verdict::Stay;
        }
        let idle_since = self.idle_since.load(Ordering::Relaxed);
        let is_finishing = self.verdict.load(Ordering::Relaxed) >= Verdict::Finish as u8;
        let idle = if is_finishing { 0 } else { patience.idle };
        if past(self.head_since.load(Ordering::Relaxed), patience.head)
            || self.protocol() == Protocol::Unknown && past(idle_since, patience.head)
            || past(idle_since, idle.saturating_add(patience.linger))
        {
            return Verdict::End;
        }
        if past(idle_since, patience.idle) {
            return Verdict::Finish;
        }
        Verdict::Stay
    }
}
