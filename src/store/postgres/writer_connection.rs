//! The connection that a writer has for itself, made anew whenever it was lost.

use sqlx::postgres::PgConnection;

use super::connection::{Database, answered};
use crate::task::repository::StoreError;

/// Ends a session that waits for a standby and was given up: it would wait for as
/// long as that is away, and be one of many.
const END_WAITING: &str = "
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid = $1 AND usename = current_user AND wait_event = 'SyncRep'";

/// Statements look rows up in indexes, however few there are now and whatever the
/// statistics say: a plan is kept, and tables grow. To compile a plan would take
/// longer than the plan, so it is kept from the first time on.
const LOOK_UP: &str = "
SELECT set_config(setting, 'off', false)
FROM unnest(ARRAY['enable_seqscan', 'enable_bitmapscan', 'enable_hashjoin', 'enable_mergejoin',
                  'enable_material', 'jit']) AS setting
UNION ALL SELECT set_config('plan_cache_mode', 'force_generic_plan', false)";

/// A writer's connection.
pub(super) struct WriterConnection {
    database: Database,
    connection: Option<PgConnection>,
    /// The server's process of the last connection that was made.
    process: Option<i32>,
    looks_up: bool,
}

impl WriterConnection {
    /// Of the writer of creates, who has made it already.
    pub(super) const fn made(database: Database, connection: PgConnection) -> Self {
        Self {
            database,
            connection: Some(connection),
            process: None,
            looks_up: false,
        }
    }

    /// One that is made when it is needed, whose statements look rows up in indexes.
    pub(super) const fn to_look_up(database: Database) -> Self {
        Self {
            database,
            connection: None,
            process: None,
            looks_up: true,
        }
    }

    /// The connection; a new one where there is none. Who has done what it wanted puts
    /// it back.
    pub(super) async fn take(&mut self) -> Result<PgConnection, StoreError> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        self.make().await
    }

    /// A new connection.
    pub(super) async fn make(&mut self) -> Result<PgConnection, StoreError> {
        let mut connection = self.database.connect().await?;
        if self.looks_up {
            answered(sqlx::query(LOOK_UP).execute(&mut connection)).await?;
        }
        if let Err(error) = answered(self.replace_process(&mut connection)).await {
            tracing::warn!(%error, "a session that waits for a standby could not be ended");
        }
        Ok(connection)
    }

    /// It was not lost.
    pub(super) fn put_back(&mut self, connection: PgConnection) {
        self.connection = Some(connection);
    }

    /// Whether there is one that was put back.
    pub(super) fn take_if_there(&mut self) -> Option<PgConnection> {
        self.connection.take()
    }

    /// Sees to it that the process of the connection before this one is gone.
    async fn replace_process(&mut self, connection: &mut PgConnection) -> Result<(), StoreError> {
        if let Some(former) = self.process.take() {
            sqlx::query(END_WAITING)
                .bind(former)
                .execute(&mut *connection)
                .await?;
        }
        let process = sqlx::query_scalar("SELECT pg_backend_pid()");
        self.process = Some(process.fetch_one(connection).await?);
        Ok(())
    }
}
