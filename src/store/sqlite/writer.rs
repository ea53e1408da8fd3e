//! The writer: one thread that commits what waits in the queue, all of it at
//! once.
//!
//! It speaks to SQLite through rusqlite. sqlx serves migrations and reads; it
//! hands each statement to a thread of its own and back, which cost half as much
//! again per row here.

use std::time::Duration;

use super::database::Database;
use super::queue::{Done, Job, Queue};
use crate::store::StoreError;

/// How often an idle writer looks after expired keys and unfinished index work.
const HOUSEKEEPING: Duration = Duration::from_secs(10);

/// Commits until the queue is closed and drained.
///
/// After a failed transaction the database is opened anew for the next one: the
/// same code brings the service up, and back when the cause is gone.
pub(super) fn run(queue: &Queue, database: Database) {
    let _closed = CloseOnDrop(queue);
    let source = database.source().clone();
    let mut open = Some(database);
    while let Some(mut jobs) = queue.take(HOUSEKEEPING) {
        // Who no longer waits was told that the write failed.
        jobs.retain(|job| !job.answer.is_closed());
        let database = match open.take() {
            Some(database) => Ok(database),
            None => source.open(),
        };
        let outcome = database.and_then(|mut database| {
            let done = database.commit(&jobs)?;
            open = Some(database);
            Ok(done)
        });
        match outcome {
            Ok(done) => answer(jobs, done),
            Err(error) => fail(jobs, &error.into()),
        }
    }
}

fn answer(jobs: Vec<Job>, done: Vec<Done>) {
    for (job, done) in jobs.into_iter().zip(done) {
        // Whoever left does not want to know.
        let _ = job.answer.send(Ok(done));
    }
}

fn fail(jobs: Vec<Job>, error: &StoreError) {
    tracing::error!(requests = jobs.len(), error = %error, "the commit failed");
    for job in jobs {
        let _ = job.answer.send(Err(error.clone()));
    }
}

/// Should the thread ever end early, requests are refused and not left to wait.
struct CloseOnDrop<'a>(&'a Queue);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.close();
        while self.0.take(Duration::ZERO).is_some() {}
    }
}
