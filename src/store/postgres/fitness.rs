//! Whether a database that can be reached is one to work with: looked at before
//! anything is written to it.

use sqlx::postgres::PgConnection;
use sqlx::{Executor, Row};

use super::connection::Database;

/// Why it is not.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// A proxy hands the server's sessions round.
    #[error(
        "its sessions are not this program's alone: a proxy hands each transaction to another \
         one; put it into session mode (PgBouncer: pool_mode = session), or connect to the \
         database itself"
    )]
    SharedSessions,
    /// It takes no writes now.
    #[error(
        "it is read-only: a standby, or default_transaction_read_only is set for it or for the \
         role"
    )]
    ReadOnly,
    /// The role may not do what the store must.
    #[error("the role may not {privilege} the table {table}; {}", HINT)]
    Privilege {
        /// In SQL.
        privilege: String,
        /// The table.
        table: String,
    },
}

const HINT: &str = "what it needs: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA … \
                    TO …";

/// What the store does to which table.
const PRIVILEGES: [(&str, &[&str]); 7] = [
    ("task", &["SELECT", "INSERT", "UPDATE"]),
    ("import_failure", &["SELECT", "INSERT"]),
    ("attempt", &["SELECT", "INSERT"]),
    ("action", &["SELECT", "INSERT"]),
    ("idempotency", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("lease", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("node_lease", &["SELECT", "INSERT", "UPDATE"]),
];

/// A session without limits, if sessions are this program's own.
///
/// While another session is in the middle of a transaction, and while it is not,
/// the first must be with the same process of the server: whichever way a proxy
/// chooses, one that hands processes round would have to give it another. Plainly,
/// since such a proxy loses prepared statements.
pub(super) async fn own_session(
    database: &Database,
) -> Result<Result<PgConnection, Unfit>, sqlx::Error> {
    let mut one = database.connect_without_limits().await?;
    let mut other = database.connect_without_limits().await?;
    let mut processes = vec![process(&mut one).await?, process(&mut one).await?];
    // Or that knows no transactions at all.
    if let Err(sqlx::Error::Database(_)) = other.execute("BEGIN").await {
        return Ok(Err(Unfit::SharedSessions));
    }
    let elsewhere = process(&mut other).await?;
    processes.push(process(&mut one).await?);
    other.execute("ROLLBACK").await?;
    processes.push(process(&mut one).await?);
    let is_own = processes
        .iter()
        .all(|process| Some(process) == processes.first());
    Ok(if is_own && !processes.contains(&elsewhere) {
        Ok(one)
    } else {
        Err(Unfit::SharedSessions)
    })
}

/// The number of the server's process that is at the other end.
async fn process(session: &mut PgConnection) -> Result<i32, sqlx::Error> {
    let row = session.fetch_one("SELECT pg_backend_pid()").await?;
    row.try_get(0)
}

/// Whether the database takes writes.
pub(super) async fn is_writable(session: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let read_only = sqlx::query_scalar("SELECT current_setting('transaction_read_only')");
    let read_only: String = read_only.fetch_one(session).await?;
    Ok(read_only == "off")
}

/// What the role may not do of what the store must, if there is anything.
pub(super) async fn missing_privilege(
    session: &mut PgConnection,
) -> Result<Option<Unfit>, sqlx::Error> {
    let needed = PRIVILEGES
        .iter()
        .flat_map(|(table, privileges)| privileges.iter().map(|privilege| (*table, *privilege)));
    let (tables, privileges): (Vec<&str>, Vec<&str>) = needed.unzip();
    let missing: Option<(String, String)> = sqlx::query_as(
        "SELECT name, privilege FROM unnest($1::text[], $2::text[]) AS needed (name, privilege)
         WHERE NOT has_table_privilege(name, privilege) LIMIT 1",
    )
    .bind(tables)
    .bind(privileges)
    .fetch_optional(session)
    .await?;
    Ok(missing.map(|(table, privilege)| Unfit::Privilege { privilege, table }))
}
