//! The connections of reads, and the threads on which they are used.
//!
//! SQLite blocks, so a read has a thread for as long as it takes: one change to it
//! and back, whatever the number of its statements. Whoever no longer waits for a
//! read has its statement stopped, and its connection goes back.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool::managed::{self, Metrics, QueueMode, RecycleError, RecycleResult};
use rusqlite::{Connection, OpenFlags};
use tokio_util::task::TaskTracker;

use super::connection::connect;
use crate::store::one_more_than_cores;
use crate::task::repository::StoreError;

/// How long a read waits for a connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// After which a connection is made anew, so that a file that was put in the place
/// of another is noticed.
const LIFETIME: Duration = Duration::from_secs(60);
/// After how many steps of SQLite's virtual machine a read looks whether anybody
/// still waits for it: some ten microseconds.
const STEPS: i32 = 1000;

/// Connections that can only read.
pub(super) struct ReadPool {
    connections: managed::Pool<Connect>,
    /// What uses a connection, also when nobody waits for it any more.
    reads: TaskTracker,
}

impl ReadPool {
    /// Of the database at `path`; connections are made when they are needed.
    pub(super) fn new(path: &Path) -> Result<Self, managed::BuildError> {
        let reads = TaskTracker::new();
        let connect = Connect {
            path: path.to_owned(),
            reads: reads.clone(),
        };
        let connections = managed::Pool::builder(connect)
            .max_size(one_more_than_cores())
            .runtime(deadpool::Runtime::Tokio1)
            .wait_timeout(Some(CONNECTION_TIMEOUT))
            // Whose pages and statements are the warmest.
            .queue_mode(QueueMode::Lifo)
            .build()?;
        Ok(Self { connections, reads })
    }

    /// The outcome of `work` with a connection. It is stopped when this is dropped.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let in_use = self.reads.token();
        let connection = self.connections.get().await?;
        let is_waited_for = Arc::new(AtomicBool::new(true));
        let _waits = Waits(Arc::clone(&is_waited_for));
        let read = tokio::task::spawn_blocking(move || {
            let outcome = stop_unless(&connection, is_waited_for)
                .map_err(StoreError::from)
                .and_then(|()| work(&connection));
            drop(connection);
            // Not before: whoever closes the pool waits for connections.
            drop(in_use);
            outcome
        });
        read.await.map_err(StoreError::failed)?
    }

    /// The connections there are.
    pub(super) fn size(&self) -> usize {
        self.connections.status().size
    }

    /// The most connections there can be.
    pub(super) fn max_size(&self) -> usize {
        self.connections.status().max_size
    }

    /// Lets nobody in any more, and waits until the last connection is closed.
    pub(super) async fn close(&self) {
        self.connections.close();
        self.reads.close();
        self.reads.wait().await;
    }
}

/// Has a connection stop its statements unless the read is waited for.
fn stop_unless(connection: &Connection, is_waited_for: Arc<AtomicBool>) -> rusqlite::Result<()> {
    let is_over = move || !is_waited_for.load(Ordering::Relaxed);
    connection.progress_handler(STEPS, Some(is_over))
}

/// Who waits for a read.
struct Waits(Arc<AtomicBool>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Makes the connections.
struct Connect {
    path: PathBuf,
    reads: TaskTracker,
}

impl managed::Manager for Connect {
    type Type = Connection;
    type Error = StoreError;

    async fn create(&self) -> Result<Connection, StoreError> {
        let path = self.path.clone();
        let opened = self.reads.spawn_blocking(move || open(&path)).await;
        Ok(opened.map_err(StoreError::failed)??)
    }

    async fn recycle(&self, _: &mut Connection, metrics: &Metrics) -> RecycleResult<StoreError> {
        if metrics.age() > LIFETIME {
            return Err(RecycleError::message("it was open for long enough"));
        }
        Ok(())
    }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    const WITHOUT_END: &str = "WITH RECURSIVE number (n) AS
        (SELECT 1 UNION ALL SELECT n + 1 FROM number) SELECT max(n) FROM number";

    fn pool() -> (tempfile::TempDir, ReadPool) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tasks.db");
        drop(Connection::open(&path).unwrap());
        (folder, ReadPool::new(&path).unwrap())
    }

    fn number(connection: &Connection, sql: &str) -> Result<i64, StoreError> {
        Ok(connection.query_row(sql, [], |row| row.get(0))?)
    }

    /// A read without end, begun; it is over when this is dropped.
    async fn without_end(pool: &ReadPool) -> impl Future<Output = Result<i64, StoreError>> {
        let (begin, mut begun) = oneshot::channel();
        let mut read = Box::pin(pool.read(|connection| {
            let _ = begin.send(());
            number(connection, WITHOUT_END)
        }));
        tokio::select! {
            _ = &mut read => panic!("it has no end"),
            begun = &mut begun => begun.unwrap(),
        }
        read
    }

    #[tokio::test]
    async fn a_read_that_nobody_waits_for_is_stopped_and_its_connection_is_given_back() {
        let (_folder, pool) = pool();
        let mut all = Vec::new();
        for _ in 0..pool.max_size() {
            all.push(without_end(&pool).await);
        }
        let mut next = Box::pin(pool.read(|connection| number(connection, "SELECT 1")));
        assert!((&mut next).now_or_never().is_none(), "there was another");
        drop(all);
        assert_eq!(next.await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_pool_is_closed_when_the_last_read_is_over() {
        let (_folder, pool) = pool();
        let read = without_end(&pool).await;
        let mut closed = Box::pin(pool.close());
        assert!((&mut closed).now_or_never().is_none(), "it is in use");
        let refused = pool.read(|connection| number(connection, "SELECT 1")).await;
        assert!(matches!(refused, Err(StoreError::Closed)), "{refused:?}");
        drop(read);
        closed.await;
        assert_eq!(pool.size(), 0);
    }

    #[tokio::test]
    async fn a_connection_cannot_write() {
        let (_folder, pool) = pool();
        let written = pool
            .read(|connection| Ok(connection.execute("CREATE TABLE task (id)", [])?))
            .await;
        assert!(matches!(written, Err(StoreError::Failed(_))), "{written:?}");
    }
}
