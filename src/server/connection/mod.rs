//! One connection: what is known of it, and when it must end.
//!
//! No connection has a timer of its own. Its requests and its bytes leave notes
//! here, in ticks of the listener's clock, and its sweep
//! ([`super::connections`]) reads them.

mod in_flight;
mod judgement;
#[cfg(test)]
pub(super) mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering};
use std::task::{Context, Waker};

use futures_util::task::AtomicWaker;

pub(super) use self::in_flight::InFlight;
pub(super) use self::judgement::{Patience, Verdict};
use super::clock::Clock;
use super::connections::Phase;
use crate::web::peer::Peer;

/// How a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Protocol {
    /// It has not asked anything yet.
    Unknown = 0,
    Http1 = 1,
    Http2 = 2,
}

/// Shared by a connection's task, its requests, its bytes and the sweep.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) peer: Arc<Peer>,
    clock: Arc<Clock>,
    phase: Arc<Phase>,
    waker: AtomicWaker,
    verdict: AtomicU8,
    is_reset: AtomicBool,
    protocol: AtomicU8,
    /// Requests whose answer is not handed over in full.
    requests: AtomicU32,
    /// Answers without an end that is known, such as streams of events.
    streams: AtomicU32,
    /// HTTP/1: whether the body of the request at hand was read to its end.
    body_read: AtomicBool,
    /// When it last had a request.
    idle_since: AtomicU32,
    /// HTTP/1: when the first byte of a head came that is not whole; 0 if none.
    head_since: AtomicU32,
    /// When the service closed its side; 0 if it did not.
    lingers_since: AtomicU32,
    /// Parts of answers that have not left, by the [`Clock::period`] they are of.
    unsent: [AtomicUsize; Clock::PERIODS],
    /// How many sweeps in a row have seen something unsent.
    held_up: AtomicU8,
}

impl Connection {
    pub(super) fn new(peer: Arc<Peer>, clock: Arc<Clock>, phase: Arc<Phase>) -> Self {
        let now = clock.now();
        Self {
            peer,
            clock,
            phase,
            waker: AtomicWaker::new(),
            verdict: AtomicU8::new(Verdict::Stay as u8),
            is_reset: AtomicBool::new(false),
            protocol: AtomicU8::new(Protocol::Unknown as u8),
            requests: AtomicU32::new(0),
            streams: AtomicU32::new(0),
            body_read: AtomicBool::new(true),
            idle_since: AtomicU32::new(now),
            head_since: AtomicU32::new(0),
            lingers_since: AtomicU32::new(0),
            unsent: Default::default(),
            held_up: AtomicU8::new(0),
        }
    }

    /// Whether each answer ends its connection: the listener is about to stop.
    pub(super) fn is_draining(&self) -> bool {
        self.phase.is_draining()
    }

    /// Ends the connection with a reset.
    pub(super) fn reset(&self) {
        self.is_reset.store(true, Ordering::Release);
        self.decide(Verdict::End);
    }

    /// Whether it ends with a reset.
    pub(super) fn is_reset(&self) -> bool {
        self.is_reset.load(Ordering::Acquire)
    }

    /// Raises what shall become of the connection, and tells its task.
    pub(super) fn decide(&self, verdict: Verdict) {
        if self.verdict.fetch_max(verdict as u8, Ordering::AcqRel) < verdict as u8 {
            self.waker.wake();
        }
    }

    /// What was decided. The task of `context` is told of changes.
    pub(super) fn verdict(&self, context: &Context<'_>) -> Verdict {
        self.waker.register(context.waker());
        match self.verdict.load(Ordering::Acquire) {
            0 => Verdict::Stay,
            1 => Verdict::Finish,
            _ => Verdict::End,
        }
    }

    /// A request has come; it is in flight as long as what this returns.
    pub(super) fn begin_request(self: &Arc<Self>, http2: bool, body_read: bool) -> InFlight {
        let protocol = if http2 {
            Protocol::Http2
        } else {
            Protocol::Http1
        };
        self.protocol.store(protocol as u8, Ordering::Relaxed);
        self.head_since.store(0, Ordering::Relaxed);
        if !http2 {
            self.body_read.store(body_read, Ordering::Relaxed);
            self.peer.end.forget();
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        InFlight {
            connection: Arc::clone(self),
            streams: false,
        }
    }

    /// Notes that the body of the request at hand was read to its end.
    pub(super) fn end_body(&self) {
        self.body_read.store(true, Ordering::Relaxed);
    }

    /// Whether something of the request at hand is still to be read. HTTP/1 has
    /// one at a time.
    pub(super) fn has_unread_body(&self) -> bool {
        !self.body_read.load(Ordering::Relaxed)
    }

    /// Whether a request of HTTP/1 waits for its answer although its client has
    /// closed its side; `reader` is told if it gives up instead.
    pub(super) fn awaits_answer(&self, reader: &Waker) -> bool {
        self.protocol() == Protocol::Http1
            && self.requests.load(Ordering::Acquire) > 0
            && !self.peer.end.come(reader)
    }

    /// Notes that bytes came.
    pub(super) fn note_read(&self) {
        if self.protocol() != Protocol::Http2 && !self.is_busy() {
            let _ = self.head_since.compare_exchange(
                0,
                self.clock.now(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
    }

    /// Notes that the service has closed its side.
    pub(super) fn note_linger(&self) {
        self.lingers_since
            .store(self.clock.now(), Ordering::Relaxed);
    }

    /// Notes a part of an answer that is to be sent.
    pub(super) fn begin_unsent(&self) -> usize {
        let period = self.clock.period();
        if let Some(count) = self.unsent.get(period) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        period
    }

    /// Notes that a part of an answer has left, or was given up.
    pub(super) fn end_unsent(&self, period: usize) {
        if let Some(count) = self.unsent.get(period) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Whether a request is in flight, or an answer has not left in full.
    pub(super) fn is_in_flight(&self) -> bool {
        self.requests.load(Ordering::Acquire) > 0 || self.has_unsent()
    }

    fn has_unsent(&self) -> bool {
        let any = |count: &AtomicUsize| count.load(Ordering::Relaxed) > 0;
        self.unsent.iter().any(any)
    }

    fn is_busy(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0 || self.streams.load(Ordering::Relaxed) > 0
    }

    /// Whether it has ever had a request.
    pub(super) fn has_asked(&self) -> bool {
        self.protocol() != Protocol::Unknown
    }

    fn protocol(&self) -> Protocol {
        match self.protocol.load(Ordering::Relaxed) {
            0 => Protocol::Unknown,
            1 => Protocol::Http1,
            _ => Protocol::Http2,
        }
    }
}
