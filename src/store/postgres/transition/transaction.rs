//! One transaction of transitions.

use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::Transition;
use super::changes::{Changes, WriteError};
use super::claims::{self, Asked, Got, Taken};
use super::commands::{self, Outcome};
use super::leases::{self, Holdings};
use super::supply::Source;
use crate::store::postgres::connection::is_passing;
use crate::task::repository::StoreError;
use crate::task::retry::RetryPolicy;

/// Whatever the database's default is: what is locked is what is written.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// What a transaction shall do.
pub(super) struct Plan<'a> {
    pub(super) commands: Vec<&'a Transition>,
    pub(super) claims: Vec<Asked<'a>>,
    pub(super) sources: Vec<Source>,
    pub(super) holdings: &'a Holdings,
    pub(super) attempt_timeout: Duration,
    /// Whether the tasks of heartbeats are locked like all others.
    pub(super) lock_all: bool,
}

/// What a transaction did.
pub(super) struct Done {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) taken: Taken,
    pub(super) changes: Changes,
}

/// Why a transaction was not committed, as far as is known.
pub(super) enum Failure {
    /// Nothing was committed: a lease whose task was not locked has ended meanwhile.
    LeaseGone,
    /// Nothing was committed: somebody who got tasks no longer waits for them.
    Abandoned,
    /// Nothing was committed, and another attempt may go through.
    Passing(StoreError),
    /// Whether it was committed is unknown.
    Unknown(StoreError),
    /// Another attempt would end alike, or there is no time for one.
    Lasting(StoreError),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        let is_passing = is_passing(&error);
        let error = StoreError::failed(error);
        if is_passing {
            Self::Passing(error)
        } else {
            Self::Lasting(error)
        }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::LeaseGone => Self::LeaseGone,
            WriteError::Sqlx(error) => error.into(),
        }
    }
}

/// Does it; `is_awaited` tells of each claim whether somebody still waits for it.
///
/// It is committed even where nothing has changed, so that who is told the state of a
/// task is told what standbys have as well.
pub(super) async fn run(
    connection: &mut PgConnection,
    plan: Plan<'_>,
    is_awaited: impl Fn(usize) -> bool,
) -> Result<Done, Failure> {
    let Plan {
        commands,
        claims,
        sources,
        holdings,
        attempt_timeout,
        lock_all,
    } = plan;
    let mut transaction = connection.begin_with(BEGIN).await?;
    let mut changes = Changes::default();
    let outcomes = if commands.is_empty() {
        Vec::new()
    } else {
        commands::apply(&mut transaction, &commands, &mut changes, lock_all).await?
    };
    let taken = if claims.is_empty() {
        Taken::default()
    } else {
        let taken = claims::take(
            &mut transaction,
            &claims,
            sources,
            holdings,
            attempt_timeout,
            &mut changes,
        );
        taken.await?
    };
    let written = changes.write(&mut transaction).await;
    let gets = |got: &Got| matches!(got, Some(Ok(_)));
    let is_abandoned = (0..)
        .zip(&taken.got)
        .any(|(index, got)| gets(got) && !is_awaited(index));
    match written {
        Err(WriteError::LeaseGone) => {
            transaction.rollback().await?;
            return Err(Failure::LeaseGone);
        }
        Err(error) => return Err(error.into()),
        Ok(()) if is_abandoned => {
            transaction.rollback().await?;
            return Err(Failure::Abandoned);
        }
        Ok(()) => {}
    }
    let committed = transaction.commit().await;
    committed.map_err(|error| match error.into() {
        Failure::Passing(error) => Failure::Unknown(error),
        failure => failure,
    })?;
    Ok(Done {
        outcomes,
        taken,
        changes,
    })
}

/// Ends leases that nobody renewed; the changes.
pub(super) async fn end_expired(
    connection: &mut PgConnection,
    policy: RetryPolicy,
) -> Result<Changes, StoreError> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    let mut changes = Changes::default();
    leases::end_expired(&mut transaction, policy, &mut changes).await?;
    changes
        .write(&mut transaction)
        .await
        .map_err(StoreError::failed)?;
    transaction.commit().await?;
    Ok(changes)
}
