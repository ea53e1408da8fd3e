//! What the writer looks at by itself: work that other instances made, leases, and what
//! there is to be executed.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use tokio::time::Instant;

use super::{ClaimJob, REST, TransitionWriter};
use crate::store::outlook::Standing;
use crate::store::postgres::connection::answered;
use crate::store::postgres::transition::{leases, transaction};
use crate::store::queue;
use crate::task::TaskType;
use crate::task::repository::StoreError;

/// How often leases are counted at least, and so how late the end of one may be
/// noticed that another instance has given.
const CENSUS: Duration = Duration::from_secs(2);
/// Not more often than this.
const CENSUS_PAUSE: Duration = Duration::from_millis(100);
/// How often it is looked at least what there is to be executed, whether anybody wants it
/// or not.
const SURVEY: Duration = Duration::from_secs(5);
/// Less often where it takes long, which grows with the tenants: no more than one part in
/// this many of the time, but once in so long all the same.
const SURVEY_PACE: u32 = 20;
const SURVEY_LIMIT: Duration = Duration::from_mins(1);

impl TransitionWriter {
    /// Does `work` with the connection, which is given up if it fails.
    async fn with_connection<T, E: Into<StoreError>>(
        &mut self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
    ) -> Result<T, StoreError> {
        let mut connection = self.connection.take().await?;
        let done = answered(work(&mut connection)).await?;
        self.connection.put_back(connection);
        Ok(done)
    }

    pub(super) async fn look(&mut self) {
        let mut supply = std::mem::take(&mut self.supply);
        let looked = self.with_connection(async |connection| supply.look(connection).await);
        let looked = looked.await;
        self.supply = supply;
        if let Err(error) = looked {
            queue::fail(
                self.claims.drain(..).map(|claim| claim.job).collect(),
                &error,
            );
            tokio::time::sleep(REST).await;
        }
    }

    /// Counts the leases, ends those that nobody renewed, and looks for what waits.
    pub(super) async fn look_after_leases(&mut self) {
        let counted = match self.count_leases().await {
            Ok(pause) => self.survey().await.map(|()| pause),
            failed @ Err(_) => failed,
        };
        let pause = match counted {
            Ok(pause) => {
                if std::mem::take(&mut self.is_census_failing) {
                    tracing::info!("leases are looked after again");
                }
                pause
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_census_failing, true) {
                    tracing::warn!(%error, "leases cannot be looked after for now");
                }
                CENSUS
            }
        };
        let now = Instant::now();
        self.census_due = now.checked_add(pause).unwrap_or(now);
    }

    /// Looks at what there is to be executed, if it is time.
    async fn survey(&mut self) -> Result<(), StoreError> {
        if Instant::now() < self.survey_due {
            return Ok(());
        }
        let begun = Instant::now();
        let mut supply = std::mem::take(&mut self.supply);
        let surveyed = self.with_connection(async |connection| {
            if supply.is_older_than(SURVEY) {
                supply.look(connection).await?;
            }
            leases::of_types(connection).await
        });
        let surveyed = surveyed.await;
        self.supply = supply;
        self.leases = Some(surveyed?);
        for change in self.transitions.completed.take() {
            self.holdings.count(&change);
        }
        let now = Instant::now();
        let pause = begun.elapsed().saturating_mul(SURVEY_PACE);
        let pause = pause.clamp(SURVEY, SURVEY_LIMIT);
        self.survey_due = now.checked_add(pause).unwrap_or(now);
        Ok(())
    }

    /// Counts the leases, and ends those that nobody renewed; when to do so again.
    async fn count_leases(&mut self) -> Result<Duration, StoreError> {
        let policy = self.policy;
        let counted = self.with_connection(async |connection| {
            let census = leases::census(connection).await?;
            let changes = if census.earliest_end == Some(Duration::ZERO) {
                Some(transaction::end_expired(connection, policy).await?)
            } else {
                None
            };
            Ok::<_, StoreError>((census, changes))
        });
        let (census, changes) = counted.await?;
        self.holdings = census.holdings;
        for change in self.transitions.completed.take_counted() {
            self.count_of_type(&change);
        }
        let ended = changes.as_ref().is_some_and(|changes| !changes.is_empty());
        if let Some(changes) = changes {
            self.note(&changes);
        }
        Ok(match census.earliest_end {
            // There may be more.
            _ if ended => CENSUS_PAUSE,
            Some(Duration::ZERO) | None => CENSUS,
            Some(left) => left.clamp(CENSUS_PAUSE, CENSUS),
        })
    }

    /// Shows what there is to be executed, by the process's clock.
    pub(super) fn show(&self) {
        let Some(leases) = &self.leases else {
            return;
        };
        let now = self.clock.now().as_millisecond();
        let standing = |task_type: TaskType| {
            let waited = self.supply.first_waits(task_type);
            let waits = |claim: &&ClaimJob| {
                let scope = &claim.job.work.scope;
                scope.task_types.contains(&task_type) && claim.job.is_awaited()
            };
            Standing {
                task_type,
                since: waited.map(|waited| now.saturating_sub(waited)),
                leases: leases.get(&task_type).copied().unwrap_or_default(),
                claims_waiting: self.claims.iter().filter(waits).count(),
            }
        };
        self.transitions.board.show(TaskType::ALL.map(standing));
    }
}
