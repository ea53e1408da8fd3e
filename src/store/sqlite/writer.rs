//! The writer: one thread that commits what waits in the queue, all of it at
//! once.

use std::time::Duration;

use super::database::{Database, DatabaseError};
use super::work::WriteQueue;
use crate::store::dispatch::Waiters;
use crate::store::outlook::Board;
use crate::store::pulse::Pulse;
use crate::store::queue::CloseOnDrop;

/// How often an idle writer looks after expired keys and unfinished index work.
const HOUSEKEEPING: Duration = Duration::from_secs(10);
/// How often an idle writer tries a commit after one that failed.
const PROBE: Duration = Duration::from_secs(1);

/// Commits until the queue is closed and drained.
///
/// After a failed transaction the database is opened anew for the next one: the
/// same code brings the service up, and back when the cause is gone. Where it is
/// its files that are gone it stays open: it may be all that is left of them.
pub(super) fn run(queue: &WriteQueue, database: Database, pulse: &Pulse, board: &Board) {
    let _lives = pulse.writer();
    let _closed = (
        CloseOnDrop(&queue.creates),
        CloseOnDrop(&queue.transitions),
        CloseOnDrop(&queue.claims),
    );
    let source = database.source().clone();
    let mut open = Some(database);
    let mut waiters = Waiters::default();
    show(board, open.as_ref(), &waiters);
    loop {
        let idle = open.as_ref().map(|database| database.idle(&waiters));
        let was_failing = pulse.is_failing();
        let most = if was_failing { PROBE } else { HOUSEKEEPING };
        let idle = idle.unwrap_or(most).min(most);
        let Some(mut writes) = queue.take_within(idle) else {
            break;
        };
        pulse.begin(writes.len(), writes.oldest());
        waiters.admit(std::mem::take(&mut writes.claims), source.clock().elapsed());
        if writes.drains {
            waiters.drain();
        }
        let database = match open.take() {
            Some(database) => Ok(database),
            None => source.open(),
        };
        let outcome = database.and_then(|mut database| {
            if was_failing {
                // An empty commit would succeed on a full disk.
                database.write_something();
            }
            let done = database.commit(&writes, &mut waiters);
            if done.as_ref().err().is_none_or(DatabaseError::is_of_files) {
                open = Some(database);
            }
            done
        });
        match outcome {
            Ok(outcomes) => {
                pulse.committed();
                pulse.moved(outcomes.moves);
                waiters.answer(outcomes.claims);
                show(board, open.as_ref(), &waiters);
                writes.answer(outcomes.creates, outcomes.transitions);
            }
            Err(error) => {
                pulse.failed();
                let error = error.into();
                waiters.fail(&error);
                board.nobody_waits();
                writes.fail(&error);
            }
        }
    }
    if let Some(database) = open {
        database.close();
    }
}

/// Shows what there is to be executed, if that is known.
fn show(board: &Board, database: Option<&Database>, waiters: &Waiters) {
    if let Some(outlook) = database.and_then(|database| database.outlook(waiters)) {
        board.show(outlook);
    }
}
