//! The writer of transitions: one task with one connection. It serves commands and
//! claims, looks for work as long as somebody waits for it, and ends leases.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rand::Rng as _;
use sqlx::postgres::PgConnection;
use tokio::time::Instant;

use super::changes::Changes;
use super::claims::Asked;
use super::leases::{self, Holdings};
use super::supply::Supply;
use super::transaction::{self, Done, Failure, Plan};
use super::{Applied, Claimed, Transition, Transitions};
use crate::store::outlook::Standing;
use crate::store::postgres::connection::{ANSWER_TIMEOUT, Database, answered};
use crate::store::postgres::writer_connection::WriterConnection;
use crate::store::pulse::Pulse;
use crate::store::queue::{self, CloseOnDrop, Job};
use crate::task::TaskType;
use crate::task::claim::{ClaimRequest, LAST_WAIT, MAX_LEASES};
use crate::task::clock::SharedClock;
use crate::task::life_cycle::Command;
use crate::task::repository::StoreError;
use crate::task::retry::RetryPolicy;
use crate::task::scope::Scope;

/// How often a transaction is tried.
const ATTEMPTS: u32 = 3;
/// How long the writer rests after a failure, so that a database that is away is not
/// asked without end.
const REST: Duration = Duration::from_millis(50);
/// How often it is looked for work that other instances made, in milliseconds; at
/// random in between, so that instances do not look all at once.
const LOOK_MILLIS: std::ops::Range<u64> = 600..900;
/// How often leases are counted at least, and so how late the end of one may be
/// noticed that another instance has given.
const CENSUS: Duration = Duration::from_secs(2);
/// Not more often than this.
const CENSUS_PAUSE: Duration = Duration::from_millis(100);
/// How often it is looked at least what there is to be executed, whether anybody wants it
/// or not.
const SURVEY: Duration = Duration::from_secs(5);
/// How soon a task is tried again that another session has locked, and for how long.
const LOCKED_PAUSE: Duration = Duration::from_millis(10);
const LOCKED_LIMIT: Duration = Duration::from_secs(3);
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
    look_period: Duration,
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
            look_period: look_period(),
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
        let look = (!self.claims.is_empty()).then(|| self.supply.older_than_at(self.look_period));
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
        for ((tenant_id, task_type), first) in self.transitions.fresh.take() {
            self.supply.created(tenant_id, task_type, first);
        }
        self.commands.retain(|command| command.job.is_awaited());
        self.claims.retain(|claim| claim.job.is_awaited());
        if self.census_due <= Instant::now() {
            self.look_after_leases().await;
        }
        if !self.claims.is_empty() && self.supply.is_older_than(self.look_period) {
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

    /// Shows what there is to be executed, by the process's clock.
    fn show(&self) {
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

    async fn look(&mut self) {
        let mut supply = std::mem::take(&mut self.supply);
        let looked = self.with_connection(async |connection| supply.look(connection).await);
        let looked = looked.await;
        self.supply = supply;
        self.look_period = look_period();
        if let Err(error) = looked {
            queue::fail(
                self.claims.drain(..).map(|claim| claim.job).collect(),
                &error,
            );
            tokio::time::sleep(REST).await;
        }
    }

    /// Counts the leases, ends those that nobody renewed, and looks for what waits.
    async fn look_after_leases(&mut self) {
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
        let now = Instant::now();
        self.survey_due = now.checked_add(SURVEY).unwrap_or(now);
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

    /// Notes what a commit has changed.
    fn note(&mut self, changes: &Changes) {
        self.pulse.moved(changes.moves());
        for change in changes.holdings() {
            if let Some(leases) = &mut self.leases {
                let of_type = leases.entry(change.task_type).or_default();
                *of_type = of_type.saturating_add_signed(change.by);
            }
            self.holdings.count(change);
        }
        for task in changes.changed() {
            self.supply.changed(task);
        }
    }

    /// Commits, and answers; what could not be done yet waits on.
    async fn transact(&mut self, mut commands: Vec<CommandJob>, mut claims: Vec<ClaimJob>) {
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

fn look_period() -> Duration {
    Duration::from_millis(rand::rng().random_range(LOOK_MILLIS))
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
