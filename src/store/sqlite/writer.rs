//! The writer: one thread that commits what waits in the queue, all of it at
//! once.
//!
//! It speaks to SQLite through rusqlite. sqlx serves migrations and reads; it
//! hands each statement to a thread of its own and back, which cost half as much
//! again per row here.

use std::time::Duration;

use super::database::{Database, DatabaseError};
use super::work::WriteQueue;
use crate::store::dispatch::Waiters;
use crate::store::queue::CloseOnDrop;

/// How often an idle writer looks after expired keys and unfinished index work.
const HOUSEKEEPING: Duration = Duration::from_secs(10);

/// Commits until the queue is closed and drained.
///
/// After a failed transaction the database is opened anew for the next one: the
/// same code brings the service up, and back when the cause is gone. Where it is
/// its files that are gone it stays open: it may be all that is left of them.
pub(super) fn run(queue: &WriteQueue, database: Database) {
    let _closed = (
        CloseOnDrop(&queue.creates),
        CloseOnDrop(&queue.transitions),
        CloseOnDrop(&queue.claims),
    );
    let source = database.source().clone();
    let mut open = Some(database);
    let mut waiters = Waiters::default();
    loop {
        let idle = open.as_ref().map(|database| database.idle(&waiters));
        let idle = idle.unwrap_or(HOUSEKEEPING).min(HOUSEKEEPING);
        let Some(mut writes) = queue.take_within(idle) else {
            break;
        };
        waiters.admit(std::mem::take(&mut writes.claims), source.clock().elapsed());
        let database = match open.take() {
            Some(database) => Ok(database),
            None => source.open(),
        };
        let outcome = database.and_then(|mut database| {
            let done = database.commit(&writes, &mut waiters);
            if done.as_ref().err().is_none_or(DatabaseError::is_of_files) {
                open = Some(database);
            }
            done
        });
        match outcome {
            Ok(outcomes) => {
                waiters.answer(outcomes.claims);
                writes.answer(outcomes.creates, outcomes.transitions);
            }
            Err(error) => {
                let error = error.into();
                waiters.fail(&error);
                writes.fail(&error);
            }
        }
    }
    if let Some(database) = open {
        database.close();
    }
}
