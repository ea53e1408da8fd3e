//! Completions, the most frequent of commands, where this instance gave the task itself
//! and so knows it: one statement, one commit, on a connection of their own. They wait
//! for no claim.
//!
//! Whether a completion may be is settled as for every command, by [`Task::apply`], of
//! the task as it is known; the database then compares with the row all that this
//! depends on. Whatever is not done so, for whichever reason, is left to the writer of
//! all commands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::postgres::PgConnection;
use tokio::time::Instant;

use super::changes::HoldingChange;
use super::leases::Begun;
use super::rows::Key;
use super::{Applied, Transition, Transitions};
use crate::store::postgres::connection::{Database, answered};
use crate::store::postgres::writer_connection::WriterConnection;
use crate::store::pulse::Pulse;
use crate::store::queue::{self, CloseOnDrop, Job};
use crate::store::row::{self, Code};
use crate::task::life_cycle::{Command, Effects, LeaseChange};
use crate::task::repository::StoreError;
use crate::task::scope::Target;
use crate::task::{Task, TaskStatus};

/// How long a task that another session has locked is waited for: then all of the batch
/// are left to the writer of commands, which passes over what is locked.
const LOCK_TIMEOUT: &str = "10ms";
/// How long all is left to the writer of commands after a failure, if it came as soon.
/// Where it took longer, nobody waits as long once more.
const REST: Duration = Duration::from_secs(1);

/// Ends tasks that are still as they are known, and their leases.
const COMPLETE: &str = "
WITH limited AS MATERIALIZED (
    SELECT set_config('lock_timeout', $8, true)
), completed AS (
    UPDATE task SET status = $9::smallint,
        ended_at = (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
        success_count = new.success_count, fail_count = new.fail_count
    FROM limited CROSS JOIN
        unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
               $6::bigint[], $7::bigint[])
      AS new (of_node, of_id, of_fence, was_success_count, was_fail_count, success_count,
              fail_count)
    WHERE task.node = of_node AND task.id = of_id
        AND (task.status, task.fence, task.success_count, task.fail_count)
            IS NOT DISTINCT FROM ($10::smallint, of_fence, was_success_count, was_fail_count)
    RETURNING task.node, task.id, task.ended_at
), over AS (
    DELETE FROM lease USING completed
    WHERE lease.node = completed.node AND lease.task_id = completed.id
)
SELECT node, id, ended_at FROM completed";

/// The writer of completions.
pub(in crate::store::postgres) struct CompletionWriter {
    connection: WriterConnection,
    pulse: Arc<Pulse>,
    transitions: Arc<Transitions>,
    rests_until: Instant,
}

/// A completion of a task that is known.
struct Completion {
    job: Job<Transition, Applied>,
    was: Task,
    /// As it will be, but for the time of its end.
    is: Task,
}

impl CompletionWriter {
    pub(in crate::store::postgres) fn new(
        database: Database,
        pulse: Arc<Pulse>,
        transitions: Arc<Transitions>,
    ) -> Self {
        Self {
            connection: WriterConnection::to_look_up(database),
            pulse,
            transitions,
            rests_until: Instant::now(),
        }
    }

    /// Serves until its queue is closed and empty; the queue of commands is closed then.
    pub(in crate::store::postgres) async fn run(mut self) {
        let (transitions, pulse) = (Arc::clone(&self.transitions), Arc::clone(&self.pulse));
        let _lives = pulse.writer();
        let _commands = CloseOnEnd(&transitions);
        let _completions = CloseOnDrop(&transitions.completions);
        while let Some(jobs) = transitions.completions.take().await {
            self.complete(jobs).await;
        }
    }

    /// Completes what it can.
    async fn complete(&mut self, jobs: Vec<Job<Transition, Applied>>) {
        let mut completions = BTreeMap::new();
        for job in jobs.into_iter().filter(Job::is_awaited) {
            match self.apply(&job.work) {
                // In the order of the table, in which others lock what they lock.
                Some((was, is)) => {
                    completions.insert(Key::of(is.id), Completion { job, was, is });
                }
                None => self.transitions.commands.pass(job),
            }
        }
        if completions.is_empty() {
            return;
        }
        let oldest = completions.values().map(|of| of.job.since()).min();
        self.pulse.begin(completions.len(), oldest);
        let (begun, counted) = (Instant::now(), self.transitions.completed.begin());
        match self.commit(&completions).await {
            Ok(ended) => {
                self.pulse.committed();
                self.settle(completions, &ended, &counted);
            }
            Err(error) => {
                self.pulse.given_up();
                let now = Instant::now();
                self.rests_until = now.checked_add(REST).unwrap_or(now);
                let jobs = completions.into_values().map(|of| of.job);
                if begun.elapsed() < REST {
                    tracing::debug!(%error, "completions are left to the writer of commands");
                    jobs.for_each(|job| self.transitions.commands.pass(job));
                } else {
                    queue::fail(jobs.collect(), &error);
                }
            }
        }
    }

    /// The task as it is known, and completed, if it is and may be.
    fn apply(&self, transition: &Transition) -> Option<(Task, Task)> {
        let Transition { target, command } = transition;
        if Instant::now() < self.rests_until {
            return None;
        }
        let was = self.transitions.given().take(target.id)?;
        let is = completed(&was, target, command)?;
        Some((was, is))
    }

    /// Which of them were committed, and when they ended by the database's clock.
    async fn commit(
        &mut self,
        completions: &BTreeMap<Key, Completion>,
    ) -> Result<BTreeMap<Key, Timestamp>, StoreError> {
        let mut connection = self.connection.take().await?;
        let ended = answered(write(&mut connection, completions)).await?;
        self.connection.put_back(connection);
        Ok(ended)
    }

    fn settle(
        &self,
        completions: BTreeMap<Key, Completion>,
        ended: &BTreeMap<Key, Timestamp>,
        begun: &Begun,
    ) {
        let (mut done, mut moves, mut holdings) = (Vec::new(), Vec::new(), Vec::new());
        for (key, Completion { job, was, mut is }) in completions {
            let Some(ended_at) = ended.get(&key) else {
                self.transitions.commands.pass(job);
                continue;
            };
            is.ended_at = Some(*ended_at);
            let task_type = is.parameters.task_type();
            moves.push((task_type, is.status));
            holdings.extend(was.attempt.map(|attempt| HoldingChange {
                tenant_id: was.tenant_id,
                task_type,
                holder: attempt.claim.holder,
                by: -1,
            }));
            done.push((job, Ok(is)));
        }
        self.pulse.moved(moves);
        self.transitions.completed.count(begun, holdings);
        let (jobs, done) = done.into_iter().unzip();
        queue::answer(jobs, done);
    }
}

/// The task completed, if it may be and the statement writes all of it; its time of end is
/// yet to be told.
fn completed(was: &Task, target: &Target, command: &Command) -> Option<Task> {
    let at = was.started_at?;
    let mut is = was.clone();
    let effects = is.apply(command, at).ok()?;
    let ends_lease = Effects {
        changed: true,
        lease: LeaseChange::Over,
        ..Effects::default()
    };
    let written = Task {
        status: TaskStatus::Success,
        ended_at: Some(at),
        counts: is.counts,
        ..was.clone()
    };
    (target.scope.covers(was) && effects == ends_lease && is == written).then_some(is)
}

/// Ends tasks that are still as they are known; which ones, and when they ended.
async fn write(
    connection: &mut PgConnection,
    completions: &BTreeMap<Key, Completion>,
) -> Result<BTreeMap<Key, Timestamp>, sqlx::Error> {
    let column = |of: fn(&Completion) -> i64| completions.values().map(of).collect::<Vec<_>>();
    let ended: Vec<(i32, i64, i64)> = sqlx::query_as(COMPLETE)
        .bind(completions.keys().map(|key| key.node).collect::<Vec<_>>())
        .bind(completions.keys().map(|key| key.id).collect::<Vec<_>>())
        .bind(column(|of| i64::from(of.was.fence.get())))
        .bind(column(|of| row::number(of.was.counts.succeeded)))
        .bind(column(|of| row::number(of.was.counts.failed)))
        .bind(column(|of| row::number(of.is.counts.succeeded)))
        .bind(column(|of| row::number(of.is.counts.failed)))
        .bind(LOCK_TIMEOUT)
        .bind(TaskStatus::Success.code())
        .bind(TaskStatus::Executing.code())
        .fetch_all(connection)
        .await?;
    let ended = ended.into_iter().map(|(node, id, ended_at)| {
        let ended_at = Timestamp::from_millisecond(ended_at).unwrap_or(Timestamp::MAX);
        (Key { node, id }, ended_at)
    });
    Ok(ended.collect())
}

/// Closes the queue of commands when there is nobody any more who passes on to it.
struct CloseOnEnd<'a>(&'a Transitions);

impl Drop for CloseOnEnd<'_> {
    fn drop(&mut self) {
        self.0.commands.close();
    }
}
