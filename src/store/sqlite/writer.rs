//! The writer: one thread that commits what waits in the queue, all of it at
//! once.
//!
//! It speaks to SQLite through rusqlite. sqlx serves migrations and reads; it
//! hands each statement to a thread of its own and back, which cost half as much
//! again per row here.

use std::time::Duration;

use super::WriteQueue;
use super::database::{Database, DatabaseError};
use crate::store::queue::{self, CloseOnDrop, Job};

/// How often an idle writer looks after expired keys and unfinished index work.
const HOUSEKEEPING: Duration = Duration::from_secs(10);

/// Commits until the queue is closed and drained.
///
/// After a failed transaction the database is opened anew for the next one: the
/// same code brings the service up, and back when the cause is gone. Where it is
/// its files that are gone it stays open: it may be all that is left of them.
pub(super) fn run(queue: &WriteQueue, database: Database) {
    let _closed = CloseOnDrop(queue);
    let source = database.source().clone();
    let mut open = Some(database);
    while let Some(mut jobs) = queue.take_within(HOUSEKEEPING) {
        jobs.retain(Job::is_awaited);
        let database = match open.take() {
            Some(database) => Ok(database),
            None => source.open(),
        };
        let outcome = database.and_then(|mut database| {
            let done = database.commit(&jobs);
            if done.as_ref().err().is_none_or(DatabaseError::is_of_files) {
                open = Some(database);
            }
            done
        });
        match outcome {
            Ok(done) => queue::answer(jobs, done),
            Err(error) => queue::fail(jobs, &error.into()),
        }
    }
    if let Some(database) = open {
        database.close();
    }
}
