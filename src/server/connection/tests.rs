use std::sync::Arc;

use super::{Connection, Patience, Verdict};
use crate::server::clock::{Clock, Tick};
use crate::web::budget::Budget;
use crate::web::peer::{EndOfInput, Peer};

const PATIENCE: Patience = Patience {
    head: 10,
    idle: 100,
    linger: 5,
};

pub(in crate::server) fn connection() -> (Arc<Clock>, Arc<Connection>) {
    let budget = Budget::new(1000);
    let peer = Peer {
        address: ([127, 0, 0, 1], 4711).into(),
        name: "127.0.0.1:4711".into(),
        strangers_bodies: budget.clone(),
        callers_bodies: budget.clone(),
        answers: budget.share(1000),
        end: EndOfInput::default(),
    };
    let clock = Arc::new(Clock::default());
    let connection = Connection::new(Arc::new(peer), Arc::clone(&clock), Arc::default());
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
