//! Who is at the other end of a connection, and what is held for it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use futures_util::task::AtomicWaker;

use super::budget::Budget;

/// The other end of a connection. The listener puts it into every request's
/// extensions, as an `Arc`.
#[derive(Debug)]
pub struct Peer {
    /// Its address: a client's or, where there is one, its proxy's.
    pub address: SocketAddr,
    /// The same as text: every request of the connection logs it.
    pub name: Box<str>,
    /// Bytes of bodies of which it is not known whose they are.
    pub strangers_bodies: Budget,
    /// Bytes of bodies of callers whose credential was believed.
    pub callers_bodies: Budget,
    /// Bytes of answers that it has not taken yet.
    pub answers: Budget,
    /// What the end of its side means.
    pub end: EndOfInput,
}

/// What it means that a client closes its side while it waits for an answer
/// (HTTP/1; over HTTP/2 a stream that is given up is reset).
///
/// It may have said all it has to say, and wait: that is what it means unless the
/// request at hand says otherwise. Or it is gone, which looks the same: so it is
/// for a request that waits, and whose answer must not be wasted.
#[derive(Debug, Default)]
pub struct EndOfInput {
    has_come: AtomicBool,
    is_leaving: AtomicBool,
    /// Who reads the connection, and waits to be told what its end means.
    reader: AtomicWaker,
    /// Who waits for more of the request's body.
    body: AtomicWaker,
}

impl EndOfInput {
    /// The request at hand is given up when the client closes its side.
    pub fn gives_up_request(&self) {
        self.is_leaving.store(true, Ordering::Release);
        self.reader.wake();
    }

    /// Another request begins, for which it means nothing.
    pub(crate) fn forget(&self) {
        self.is_leaving.store(false, Ordering::Release);
    }

    /// A request was answered: the end may be read.
    pub(crate) fn answered(&self) {
        self.reader.wake();
    }

    /// It has come. Whether it means that the client is gone; `reader` is told when
    /// it does.
    pub(crate) fn come(&self, reader: &Waker) -> bool {
        self.reader.register(reader);
        self.has_come.store(true, Ordering::Release);
        self.body.wake();
        self.is_leaving.load(Ordering::Acquire)
    }

    /// More of the request's body is waited for. If the end has come, that is
    /// missing: the client has left amid its request.
    pub(crate) fn misses_body(&self, body: &Waker) {
        self.body.register(body);
        if self.has_come.load(Ordering::Acquire) {
            self.gives_up_request();
        }
    }
}

/// Has the listener reset the connection instead of sending the answer in whose
/// extensions this is.
#[derive(Debug, Clone, Copy)]
pub struct Reset;
