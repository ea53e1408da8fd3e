//! Who is at the other end of a connection, and what is held for it.

use std::net::SocketAddr;

use super::budget::Budget;

/// The other end of a connection. The listener puts it into every request's
/// extensions, as an `Arc`.
#[derive(Debug)]
pub struct Peer {
    /// Its address: a client's or, where there is one, its proxy's.
    pub address: SocketAddr,
    /// Bytes of bodies of which it is not known whose they are.
    pub strangers_bodies: Budget,
    /// Bytes of bodies of callers whose credential was believed.
    pub callers_bodies: Budget,
    /// Bytes of answers that it has not taken yet.
    pub answers: Budget,
}
