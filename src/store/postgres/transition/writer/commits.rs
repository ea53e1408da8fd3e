//! The transactions of the writer: how often one is tried, and who is told what.

use std::time::Duration;

use tokio::time::Instant;

use super::{ClaimJob, CommandJob, REST, TransitionWriter};
use crate::store::postgres::connection::ANSWER_TIMEOUT;
use crate::store::postgres::transition::claims::Asked;
use crate::store::postgres::transition::transaction::{self, Done, Failure, Plan};
use crate::store::queue;
use crate::task::claim::MAX_LEASES;
use crate::task::life_cycle::Command;
use crate::task::repository::StoreError;

/// How often a transaction is tried.
const ATTEMPTS: u32 = 3;
/// How soon a task is tried again that another session has locked, and for how long.
const LOCKED_PAUSE: Duration = Duration::from_millis(10);
const LOCKED_LIMIT: Duration = Duration::from_secs(3);

impl TransitionWriter {
    /// Commits, and answers; what could not be done yet waits on.
    pub(super) async fn transact(
        &mut self,
        mut commands: Vec<CommandJob>,
        mut claims: Vec<ClaimJob>,
    ) {
        let oldest = commands.first().map(|of| of.job.since());
        self.pulse.begin(commands.len(), oldest);
        let (mut attempt, mut lock_all) = (1, false);
        let error = loop {
            let failure = match self.attempt(&commands, &claims, lock_all).await {
                Ok(done) => {
                    self.pulse.committed();
                    return self.settle(commands, claims, done);
                }
                Err(failure) => failure,
            };
            let error = match failure {
                Failure::LeaseGone => {
                    lock_all = true;
                    None
                }
                Failure::Abandoned => {
                    claims.retain(|claim| claim.job.is_awaited());
                    None
                }
                Failure::Passing(error) => Some(error),
                Failure::Unknown(error) => {
                    let unsafe_to_repeat = commands
                        .extract_if(.., |of| !is_harmless_again(&of.job.work.command))
                        .map(|command| command.job);
                    queue::fail(unsafe_to_repeat.collect(), &error);
                    Some(error)
                }
                Failure::Lasting(error) => break error,
            };
            if let Some(error) = error {
                if attempt >= ATTEMPTS {
                    break error;
                }
                tracing::warn!(%error, attempt, "the commit of transitions is tried again");
                attempt = attempt.saturating_add(1);
            }
        };
        self.pulse.failed();
        queue::fail(commands.into_iter().map(|of| of.job).collect(), &error);
        queue::fail(claims.into_iter().map(|of| of.job).collect(), &error);
        tokio::time::sleep(REST).await;
    }

    async fn attempt(
        &mut self,
        commands: &[CommandJob],
        claims: &[ClaimJob],
        lock_all: bool,
    ) -> Result<Done, Failure> {
        let mut connection = self.connection.take().await.map_err(Failure::Lasting)?;
        let sources = claims.first().map(|claim| {
            let scope = &claim.job.work.scope;
            self.supply.sources(scope, &self.holdings)
        });
        let plan = Plan {
            commands: commands.iter().map(|of| &of.job.work).collect(),
            claims: self.asked(claims),
            sources: sources.unwrap_or_default(),
            holdings: &self.holdings,
            attempt_timeout: self.policy.attempt_timeout,
            lock_all,
        };
        let is_awaited = |index: usize| {
            let claim = claims.get(index);
            claim.is_some_and(|claim| claim.job.is_awaited())
        };
        let done = transaction::run(&mut connection, plan, is_awaited);
        match tokio::time::timeout(ANSWER_TIMEOUT, done).await {
            Ok(done) => {
                if matches!(done, Ok(_) | Err(Failure::LeaseGone | Failure::Abandoned)) {
                    self.connection.put_back(connection);
                }
                done
            }
            Err(_) => Err(Failure::Lasting(StoreError::TimedOut(ANSWER_TIMEOUT))),
        }
    }

    /// What each claim may get, by the number of leases that its holder has.
    fn asked<'a>(&self, claims: &'a [ClaimJob]) -> Vec<Asked<'a>> {
        let mut promised = std::collections::HashMap::new();
        claims
            .iter()
            .map(|claim| {
                let request = &claim.job.work;
                let holder = &request.claim.holder;
                let promised: &mut usize = promised
                    .entry(holder)
                    .or_insert_with(|| self.holdings.of_holder(holder));
                let most = usize::from(request.max).min(MAX_LEASES.saturating_sub(*promised));
                *promised = promised.saturating_add(most);
                Asked { request, most }
            })
            .collect()
    }

    fn settle(&mut self, commands: Vec<CommandJob>, claims: Vec<ClaimJob>, done: Done) {
        let Done {
            outcomes,
            taken,
            changes,
        } = done;
        self.note(&changes);
        for visited in taken.left {
            self.supply.claimed(visited);
        }
        let now = Instant::now();
        for (CommandJob { since, job }, outcome) in commands.into_iter().zip(outcomes).rev() {
            match outcome {
                Some(applied) => queue::answer(vec![job], vec![applied]),
                None if now.duration_since(since) < LOCKED_LIMIT => {
                    self.commands.push_front(CommandJob { since, job });
                    self.commands_due = now.checked_add(LOCKED_PAUSE).unwrap_or(now);
                }
                None => {
                    let id = job.work.target.id.get();
                    tracing::warn!(id, "another session has the task locked");
                    queue::refuse([job].into_iter(), &StoreError::Overloaded);
                }
            }
        }
        let mut waiting = Vec::new();
        for (mut claim, got) in claims.into_iter().zip(taken.got) {
            match got {
                Some(got) => queue::answer(vec![claim.job], vec![got]),
                None => {
                    claim.was_tried = true;
                    waiting.push(claim);
                }
            }
        }
        // Those who came first are served first.
        self.claims.extend(waiting);
        self.claims.sort_by_key(|claim| claim.number);
    }
}

/// Whether a command may be applied again when it is unknown whether it was.
fn is_harmless_again(command: &Command) -> bool {
    match command {
        Command::Heartbeat { .. }
        | Command::Complete { .. }
        | Command::Fail { retry: None, .. }
        | Command::RecordFailures { .. }
        | Command::LoseLease { .. }
        | Command::Cancel(_) => true,
        Command::Claim { .. }
        | Command::Fail { retry: Some(_), .. }
        | Command::Release(_)
        | Command::Retry(_)
        | Command::Step(_)
        | Command::StepAt(..) => false,
    }
}
