//! A request of a connection, from its head to the end of its answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Connection;

/// A request in flight.
#[derive(Debug)]
pub(in crate::server) struct InFlight {
    pub(super) connection: Arc<Connection>,
    pub(super) streams: bool,
}

impl InFlight {
    pub(in crate::server) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// The answer goes on until its client leaves: it keeps the connection, but
    /// no shutdown waits for it.
    pub(in crate::server) fn stream(mut self) -> Self {
        self.streams = true;
        self.connection.streams.fetch_add(1, Ordering::Relaxed);
        self.connection.requests.fetch_sub(1, Ordering::Release);
        self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let connection = &self.connection;
        connection
            .idle_since
            .store(connection.clock.now(), Ordering::Relaxed);
        let count = if self.streams {
            &connection.streams
        } else {
            &connection.requests
        };
        count.fetch_sub(1, Ordering::Release);
        connection.peer.end.answered();
    }
}
