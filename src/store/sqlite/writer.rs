//! The writer: one thread that commits what waits in the queue, all of it at
//! once.
//!
//! It speaks to SQLite through rusqlite. sqlx serves migrations and reads; it
//! hands each statement to a thread of its own and back, which cost half as much
//! again per row here.

use std::time::Duration;

use super::database::{Database, DatabaseError};
use super::work::WriteQueue;
use crate::store::queue::CloseOnDrop;

/// How often an idle writer looks after expired keys and unfinished index work.
const HOUSEKEEPING: Duration = Duration::from_secs(10);

/// Commits until the queue is closed and drained.
///
/// After a failed transaction the database is opened anew for the next one: the
/// same code brings the service up, and back when the cause is gone. Where it is
/// its files that are gone it stays open: it may be all that is left of them.
pub(super) fn run(queue: &WriteQueue, database: Database) {
    let _closed = (CloseOnDrop(&queue.creates), CloseOnDrop(&queue.transitions));
    let source = database.source().clone();
    let mut open = Some(database);
    while let Some(writes) = queue.take_within(HOUSEKEEPING) {
        let database = match open.take() {
            Some(database) => Ok(database),
            None => source.open(),
        };
        let outcome = database.and_then(|mut database| {
            let done = database.commit(&writes);
            if done.as_ref().err().is_none_or(DatabaseError::is_of_files) {
                open = Some(database);
            }
            done
        });
        match outcome {
            Ok(outcomes) => writes.answer(outcomes),
            Err(error) => writes.fail(&error.into()),
        }
    }
    if let Some(database) = open {
        database.close();
    }
}
