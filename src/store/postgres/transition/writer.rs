//! The writer of transitions: one task with one connection. It serves commands and
//! claims, looks for work as long as somebody waits for it, and ends leases.

mod commits;
mod rounds;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::changes::{Changes, HoldingChange};
use super::leases::Holdings;
use super::supply::Supply;
use super::{Applied, Claimed, Transition, Transitions};
use crate::store::postgres::connection::Database;
use crate::store::postgres::writer_connection::WriterConnection;
use crate::store::pulse::Pulse;
use crate::store::queue::{self, CloseOnDrop, Job};
use crate::task::TaskType;
use crate::task::claim::{ClaimRequest, LAST_WAIT};
use crate::task::clock::SharedClock;
use crate::task::life_cycle::Command;
use crate::task::repository::StoreError;
use crate::task::retry::RetryPolicy;
use crate::task::scope::Scope;

/// How long the writer rests after a failure, so that a database that is away is not
/// asked without end.
const REST: Duration = Duration::from_millis(50);
/// The most rows that the commands of a transaction write, and the most tasks that its
/// claims take: bounds how long the others wait for it.
const MOST_ROWS: usize = 8192;
const MOST_TASKS: usize = 512;

/// The writer.
pub(in crate::store::postgres) struct TransitionWriter {
    connection: WriterConnection,
    clock: SharedClock,
    policy: RetryPolicy,
    pulse: Arc<Pulse>,
    transitions: Arc<Transitions>,
    commands: VecDeque<CommandJob>,
    /// Not before this: their tasks are locked elsewhere.
    commands_due: Instant,
    /// In the order in which they came.
    claims: Vec<ClaimJob>,
    claims_taken: u64,
    /// Nobody waits for long any more.
    is_draining: bool,
    supply: Supply,
    holdings: Holdings,
    census_due: Instant,
    is_census_failing: bool,
    /// Leases of each type, since the last survey by what this instance does; nothing before
    /// the first.
    leases: Option<HashMap<TaskType, usize>>,
    survey_due: Instant,
}

struct CommandJob {
    since: Instant,
    job: Job<Transition, Applied>,
}

struct ClaimJob {
    number: u64,
    deadline: Instant,
    /// Whether the database was asked for it: what it holds already, it would have.
    was_tried: bool,
    job: Job<ClaimRequest, Claimed>,
}

impl TransitionWriter {
    pub(in crate::store::postgres) fn new(
        database: Database,
        (clock, policy): (SharedClock, RetryPolicy),
        pulse: Arc<Pulse>,
        transitions: Arc<Transitions>,
    ) -> Self {
        let now = Instant::now();
        Self {
            connection: WriterConnection::to_look_up(database),
            clock,
            policy,
            pulse,
            transitions,
            commands: VecDeque::new(),
            commands_due: now,
            claims: Vec::new(),
            claims_taken: 0,
            is_draining: false,
            supply: Supply::default(),
            holdings: Holdings::default(),
            census_due: now,
            is_census_failing: false,
            leases: None,
            survey_due: now,
        }
    }

    /// Serves until the queues are closed, and the commands in them applied.
    pub(in crate::store::postgres) async fn run(mut self) {
        let (transitions, pulse) = (Arc::clone(&self.transitions), Arc::clone(&self.pulse));
        let _lives = pulse.writer();
        let _commands = CloseOnDrop(&transitions.commands);
        let _claims = CloseOnDrop(&transitions.claims);
        let mut is_open = true;
        while is_open {
            let wake_at = self.wake_at();
            tokio::select! {
                biased;
                commands = transitions.commands.take() => is_open = self.take_commands(commands),
                claims = transitions.claims.take() => self.take_claims(claims),
                () = transitions.draining.cancelled(), if !self.is_draining => self.drain(),
                () = transitions.fresh.come(), if !self.claims.is_empty() => {}
                () = tokio::time::sleep_until(wake_at) => {}
            }
            // What else has come shares the commit.
            is_open &= self.take_commands(transitions.commands.try_take());
            self.take_claims(transitions.claims.try_take());
            self.turn().await;
        }
        queue::refuse(
            self.claims.drain(..).map(|claim| claim.job),
            &StoreError::Closed,
        );
        while !self.commands.is_empty() {
            tokio::time::sleep_until(self.commands_due).await;
            self.turn().await;
        }
    }

    /// Whether more may come.
    fn take_commands(&mut self, jobs: Option<Vec<Job<Transition, Applied>>>) -> bool {
        let since = Instant::now();
        let is_open = jobs.is_some();
        let jobs = jobs.into_iter().flatten();
        self.commands
            .extend(jobs.map(|job| CommandJob { since, job }));
        is_open
    }

    fn take_claims(&mut self, jobs: Option<Vec<Job<ClaimRequest, Claimed>>>) {
        let now = Instant::now();
        let longest = if self.is_draining {
            LAST_WAIT
        } else {
            Duration::MAX
        };
        for job in jobs.into_iter().flatten() {
            let wait = job.work.wait.min(longest);
            self.claims_taken = self.claims_taken.saturating_add(1);
            self.claims.push(ClaimJob {
                number: self.claims_taken,
                deadline: now.checked_add(wait).unwrap_or(now),
                was_tried: false,
                job,
            });
        }
    }

    /// Has those who wait answered, and lets nobody wait for long from now on.
    fn drain(&mut self) {
        self.is_draining = true;
        let now = Instant::now();
        for claim in &mut self.claims {
            claim.deadline = now;
        }
    }

    /// When there is something to be done, whatever comes.
    fn wake_at(&self) -> Instant {
        let now = Instant::now();
        let commands = (!self.commands.is_empty()).then_some(self.commands_due);
        let claims = self.claims.iter().map(|claim| claim.deadline).min();
        let look = (!self.claims.is_empty()).then(|| self.supply.next_look());
        let work = self.scopes().into_iter().filter_map(|scope| {
            if self.supply.has_work(scope) {
                Some(now)
            } else {
                self.supply.next_due(scope)
            }
        });
        let untried = self.claims.iter().any(|claim| !claim.was_tried);
        [commands, claims, look.flatten(), untried.then_some(now)]
            .into_iter()
            .flatten()
            .chain(work)
            .fold(self.census_due, Instant::min)
    }

    /// What is asked for, each scope once.
    fn scopes(&self) -> Vec<&Scope> {
        let mut scopes: Vec<&Scope> = Vec::new();
        for claim in &self.claims {
            let scope = &claim.job.work.scope;
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        scopes
    }

    async fn turn(&mut self) {
        for change in self.transitions.completed.take() {
            self.count(&change);
        }
        for ((tenant_id, task_type), first) in self.transitions.fresh.take() {
            self.supply.created(tenant_id, task_type, first);
        }
        self.commands.retain(|command| command.job.is_awaited());
        self.claims.retain(|claim| claim.job.is_awaited());
        if self.census_due <= Instant::now() {
            self.look_after_leases().await;
        }
        if !self.claims.is_empty() && self.supply.is_look_due() {
            self.look().await;
        }
        let (commands, claims) = (self.next_commands(), self.next_claims());
        if !commands.is_empty() || !claims.is_empty() {
            self.transact(commands, claims).await;
        }
        let now = Instant::now();
        let over = self
            .claims
            .extract_if(.., |claim| claim.was_tried && claim.deadline <= now);
        for claim in over.collect::<Vec<_>>() {
            queue::answer(vec![claim.job], vec![Ok(Vec::new())]);
        }
        self.show();
    }

    /// The commands of the next transaction.
    fn next_commands(&mut self) -> Vec<CommandJob> {
        if Instant::now() < self.commands_due {
            return Vec::new();
        }
        let mut rows: usize = 0;
        let fits = |command: &CommandJob| {
            let fits = rows < MOST_ROWS;
            rows = rows.saturating_add(match &command.job.work.command {
                Command::RecordFailures { rows, .. } => rows.len().saturating_add(1),
                _ => 1,
            });
            fits
        };
        let count = self.commands.iter().map(fits).take_while(|fits| *fits);
        let count = count.count();
        self.commands.drain(..count).collect()
    }

    /// The claims of the next transaction: those of one scope.
    fn next_claims(&mut self) -> Vec<ClaimJob> {
        let scopes = self.scopes();
        let ready: Vec<&Scope> = scopes
            .into_iter()
            .filter(|scope| self.supply.has_work(scope))
            .collect();
        let is_ready =
            |claim: &ClaimJob| !claim.was_tried || ready.contains(&&claim.job.work.scope);
        let Some(first) = self.claims.iter().find(|claim| is_ready(claim)) else {
            return Vec::new();
        };
        let scope = first.job.work.scope.clone();
        let mut wanted: usize = 0;
        let chosen = self.claims.extract_if(.., |claim| {
            let is_chosen = claim.job.work.scope == scope && wanted < MOST_TASKS;
            if is_chosen {
                wanted = wanted.saturating_add(usize::from(claim.job.work.max));
            }
            is_chosen
        });
        chosen.collect()
    }

    /// Notes what a commit has changed.
    fn note(&mut self, changes: &Changes) {
        self.pulse.moved(changes.moves());
        for change in changes.holdings() {
            self.count(&change);
        }
        let mut given = self.transitions.given();
        for task in changes.changed() {
            self.supply.changed(task);
            given.note(task);
        }
    }

    /// Counts a change of somebody's number of leases.
    fn count(&mut self, change: &HoldingChange) {
        self.holdings.count(change);
        self.count_of_type(change);
    }

    fn count_of_type(&mut self, change: &HoldingChange) {
        if let Some(leases) = &mut self.leases {
            let of_type = leases.entry(change.task_type).or_default();
            *of_type = of_type.saturating_add_signed(change.by);
        }
    }
}
