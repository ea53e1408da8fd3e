//! One connection: what is known of it, and when it must end.
//!
//! No connection has a timer of its own. Its requests and its bytes leave notes
//! here, in ticks of the listener's clock, and its sweep
//! ([`super::connections`]) reads them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering};
use std::task::{Context, Waker};

use futures_util::task::AtomicWaker;

use super::clock::{Clock, Tick};
use crate::web::peer::Peer;

/// What shall become of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Verdict {
    /// It goes on.
    Stay = 0,
    /// It ends once it has answered what it was asked.
    Finish = 1,
    /// It ends now.
    End = 2,
}

/// How a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Protocol {
    /// It has not asked anything yet.
    Unknown = 0,
    Http1 = 1,
    Http2 = 2,
}

/// The bounds of a connection's life, in ticks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For a request's head, from its first byte; for the first of a connection,
    /// from the connection's beginning.
    pub(super) head: Tick,
    /// Without a request.
    pub(super) idle: Tick,
    /// For the client to close its side after the service has closed its own.
    pub(super) linger: Tick,
}

/// Shared by a connection's task, its requests, its bytes and the sweep.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) peer: Arc<Peer>,
    clock: Arc<Clock>,
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
    pub(super) fn new(peer: Arc<Peer>, clock: Arc<Clock>) -> Self {
        let now = clock.now();
        Self {
            peer,
            clock,
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

    /// What is due at this tick.
    pub(super) fn judge(&self, patience: &Patience) -> Verdict {
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

/// A request in flight.
#[derive(Debug)]
pub(super) struct InFlight {
    connection: Arc<Connection>,
    streams: bool,
}

impl InFlight {
    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// The answer goes on until its client leaves: it keeps the connection, but
    /// no shutdown waits for it.
    pub(super) fn stream(mut self) -> Self {
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::web::budget::Budget;
    use crate::web::peer::EndOfInput;

    const PATIENCE: Patience = Patience {
        head: 10,
        idle: 100,
        linger: 5,
    };

    pub(in crate::server) fn connection() -> (Arc<Clock>, Arc<Connection>) {
        let budget = Budget::new(1000);
        let peer = Peer {
            address: ([127, 0, 0, 1], 4711).into(),
            strangers_bodies: budget.clone(),
            callers_bodies: budget.clone(),
            answers: budget.share(1000),
            end: EndOfInput::default(),
        };
        let clock = Arc::new(Clock::default());
        let connection = Connection::new(Arc::new(peer), Arc::clone(&clock));
        (clock, Arc::new(connection))
    }

    /// The tick at which this is first judged, and what it is judged then.
    fn first_due(clock: &Clock, connection: &Connection) -> (Tick, Verdict) {
        let begun = clock.now();
        loop {
            let verdict = connection.judge(&PATIENCE);
            if verdict != Verdict::Stay {
                return (clock.now().saturating_sub(begun), verdict);
            }
            clock.advance();
        }
    }

    #[test]
    fn who_asks_nothing_ends_soon_and_who_is_idle_later_and_in_order() {
        let (clock, connection) = connection();
        assert_eq!(first_due(&clock, &connection), (11, Verdict::End));
        drop(connection.begin_request(true, true));
        assert_eq!(first_due(&clock, &connection), (101, Verdict::Finish));
        // Who does not end when asked to is ended.
        connection.decide(Verdict::Finish);
        clock.advance();
        assert_eq!(connection.judge(&PATIENCE), Verdict::End);
    }

    #[test]
    fn what_is_asked_or_streamed_keeps_the_connection() {
        let (clock, connection) = connection();
        let request = connection.begin_request(false, true);
        for _ in 0..1000 {
            clock.advance();
            assert_eq!(connection.judge(&PATIENCE), Verdict::Stay);
        }
        let stream = request.stream();
        assert!(!connection.is_in_flight());
        clock.advance();
        assert_eq!(connection.judge(&PATIENCE), Verdict::Stay);
        drop(stream);
        assert_eq!(first_due(&clock, &connection), (101, Verdict::Finish));
    }

    #[test]
    fn half_a_head_has_less_time_than_none_over_http1_alone() {
        for (http2, due) in [(false, (11, Verdict::End)), (true, (101, Verdict::Finish))] {
            let (clock, connection) = connection();
            drop(connection.begin_request(http2, true));
            connection.note_read();
            assert_eq!(first_due(&clock, &connection), due);
        }
    }

    #[test]
    fn an_answer_that_is_not_taken_is_due_after_one_to_two_periods() {
        for later in 0..90 {
            let (clock, connection) = connection();
            for _ in 0..later {
                clock.advance();
            }
            let request = connection.begin_request(true, true);
            let period = connection.begin_unsent();
            let (due, verdict) = first_due(&clock, &connection);
            assert!((30..=60).contains(&due), "{due}");
            assert_eq!(verdict, Verdict::End);
            connection.end_unsent(period);
            assert_eq!(connection.judge(&PATIENCE), Verdict::Stay);
            drop(request);
        }
    }

    #[test]
    fn while_the_whole_holds_too_much_who_takes_nothing_ends_early() {
        let (clock, connection) = connection();
        let _request = connection.begin_request(true, true);
        let _period = connection.begin_unsent();
        let _held = connection.peer.answers.take_beyond(1000);
        let (due, verdict) = first_due(&clock, &connection);
        assert_eq!((due, verdict), (4, Verdict::End));
    }
}
