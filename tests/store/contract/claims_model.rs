//! The laws of a task's life, whatever happens in whichever order.
//!
//! Contract: `worker.md`, "Laws".

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kootask::task::attempt::{Actor, GRACE};
use kootask::task::claim::ClaimRequest;
use kootask::task::clock::Clock;
use kootask::task::life_cycle::{Command, Report};
use kootask::task::repository::{ApplyError, TaskRepository};
use kootask::task::retry::RetryPolicy;
use kootask::task::scope::{Scope, Target};
use kootask::task::{Task, TaskId, TaskStatus, TaskType};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Handle;

use super::{Backend, contract};
use crate::store::work::{actor, complete, ids, many, nobodys, of, report};
use crate::store::{MovedClock, NODE, batch_import, create_new, identifier, transfer};

contract! {
    backends whose time is the tests:
    the_laws_hold_in_whichever_order_things_happen,
}

const HOLDERS: [&str; 2] = ["migrator", "importer"];
const TENANTS: [&str; 3] = ["tenant", "acme", "umbrella"];

/// Something that happens; tasks are meant by their number.
#[derive(Debug, Clone)]
enum Event {
    Create {
        tenant: usize,
        is_import: bool,
    },
    Claim {
        holder: usize,
        tenant: Option<usize>,
        max: u16,
        seconds: u64,
        /// How long it is until the claim is repeated, as if its answer was lost.
        lost: i64,
    },
    Heartbeat(usize),
    Complete(usize),
    Fail {
        task: usize,
        retry: bool,
    },
    Release(usize),
    Cancel(usize),
    Retry(usize),
    Pass(i64),
    Step(i64),
    Reopen,
}

fn any_event() -> impl Strategy<Value = Event> {
    let task = 0_usize..30;
    prop_oneof![
        6 => (0..TENANTS.len(), any::<bool>())
            .prop_map(|(tenant, is_import)| Event::Create { tenant, is_import }),
        8 => any_claim(),
        4 => task.clone().prop_map(Event::Heartbeat),
        4 => task.clone().prop_map(Event::Complete),
        4 => (task.clone(), any::<bool>()).prop_map(|(task, retry)| Event::Fail { task, retry }),
        3 => task.clone().prop_map(Event::Release),
        2 => task.clone().prop_map(Event::Cancel),
        2 => task.prop_map(Event::Retry),
        6 => (1_i64..120).prop_map(Event::Pass),
        1 => (-90_i64..90).prop_map(Event::Step),
        1 => Just(Event::Reopen),
    ]
}

fn any_claim() -> impl Strategy<Value = Event> {
    let tenant = proptest::option::of(0..TENANTS.len());
    let lost = prop_oneof![3 => Just(0_i64), 1 => 1_i64..20];
    let claim = (0..HOLDERS.len(), tenant, 1_u16..5, 10_u64..100, lost);
    claim.prop_map(|(holder, tenant, max, seconds, lost)| Event::Claim {
        holder,
        tenant,
        max,
        seconds,
        lost,
    })
}

/// What is known of a task.
struct Known {
    task: Task,
    /// When its lease ends, not before and not after.
    lease: Option<(Duration, Duration)>,
    starts: u32,
}

struct Model<'a, B: Backend> {
    backend: &'a B,
    clock: Arc<MovedClock>,
    store: Arc<dyn TaskRepository>,
    order: Vec<TaskId>,
    known: HashMap<TaskId, Known>,
    claims: u128,
}

impl<B: Backend> Model<'_, B> {
    fn nth(&self, number: usize) -> Option<&Known> {
        let id = self.order.get(number % self.order.len().max(1))?;
        self.known.get(id)
    }

    async fn happen(&mut self, event: Event) -> Result<(), TestCaseError> {
        match event {
            Event::Create { tenant, is_import } => {
                let task = if is_import {
                    batch_import("result")
                } else {
                    transfer("source")
                };
                let new = of(TENANTS[tenant], task);
                let id = create_new(&self.store, new.clone(), None).await;
                let task = Task::new(id, new);
                self.order.push(id);
                self.known.insert(
                    id,
                    Known {
                        task,
                        lease: None,
                        starts: 0,
                    },
                );
            }
            Event::Claim {
                holder,
                tenant,
                max,
                seconds,
                lost,
            } => {
                let scope = tenant.map_or_else(Scope::everything, |tenant| {
                    Scope::tenant(identifier(TENANTS[tenant]).into())
                });
                let request = self.request(HOLDERS[holder], scope, max, seconds);
                self.claim(request, lost).await?;
            }
            Event::Heartbeat(number) => {
                let timeout = RetryPolicy::default().attempt_timeout;
                self.report(number, |report| Command::Heartbeat {
                    report,
                    counts: None,
                    timeout,
                })
                .await?;
            }
            Event::Complete(number) => {
                self.report(number, |report| Command::Complete {
                    report,
                    counts: None,
                })
                .await?;
            }
            Event::Fail { task, retry } => {
                let backoff = RetryPolicy::default().backoff(Duration::ZERO);
                let retry = retry.then_some(backoff);
                self.report(task, |report| Command::Fail {
                    report,
                    code: None,
                    retry,
                })
                .await?;
            }
            Event::Release(number) => self.report(number, Command::Release).await?,
            Event::Cancel(number) => self.command(number, Command::Cancel).await?,
            Event::Retry(number) => self.command(number, Command::Retry).await?,
            Event::Pass(seconds) => self.pass(SignedDuration::from_secs(seconds)).await,
            Event::Step(_) if B::HAS_A_CLOCK => {}
            Event::Step(seconds) => self.clock.move_by(SignedDuration::from_secs(seconds)),
            Event::Reopen if B::IS_DURABLE => self.reopen().await,
            Event::Reopen => {}
        }
        self.look().await
    }

    async fn pass(&self, time: SignedDuration) {
        self.backend.pass(&self.clock, &self.store, time).await;
    }

    async fn reopen(&mut self) {
        self.store.close().await;
        let before = self.clock.elapsed();
        self.store = self.backend.open(&self.clock, NODE).await;
        if B::HAS_A_CLOCK {
            return;
        }
        for known in self.known.values_mut() {
            if let (Some((least, most)), Some(attempt)) = (&mut known.lease, &known.task.attempt) {
                let whole = attempt.claim.lease + GRACE;
                if *least > before {
                    *least = before + whole;
                }
                *most = self.clock.elapsed() + whole;
            }
        }
    }

    async fn command(
        &mut self,
        number: usize,
        command: fn(Actor) -> Command,
    ) -> Result<(), TestCaseError> {
        match self.nth(number).map(|known| known.task.id) {
            Some(id) => self.apply(id, command(actor())).await,
            None => Ok(()),
        }
    }

    /// A report with the last fence that is known.
    async fn report(
        &mut self,
        number: usize,
        command: impl FnOnce(Report) -> Command,
    ) -> Result<(), TestCaseError> {
        let Some(Known { task, .. }) = self.nth(number) else {
            return Ok(());
        };
        if task.attempt.is_none() {
            return Ok(());
        }
        let (id, report) = (task.id, report(task));
        self.apply(id, command(report)).await
    }

    async fn apply(&mut self, id: TaskId, command: Command) -> Result<(), TestCaseError> {
        self.look().await?;
        let target = Target {
            id,
            scope: Scope::everything(),
        };
        let before = self.clock.elapsed();
        let applied = self.store.apply(target, command.clone()).await;
        let Some(known) = self.known.get_mut(&id) else {
            return Ok(());
        };
        let lease = known
            .task
            .attempt
            .as_ref()
            .map(|attempt| attempt.claim.lease);
        match applied {
            Ok(task) => {
                if let (Command::Heartbeat { .. }, Some(lease)) = (&command, lease) {
                    let whole = lease + GRACE;
                    known.lease = Some((before + whole, self.clock.elapsed() + whole));
                }
                if task.status != TaskStatus::Executing {
                    known.lease = None;
                }
                if matches!(command, Command::Retry(_)) {
                    prop_assert_eq!(known.task.status, TaskStatus::Failed);
                } else if known.task.status.has_ended() {
                    prop_assert_eq!(&known.task, &task, "an ended task changed: {:?}", command);
                }
                known.task = task;
            }
            Err(ApplyError::Refused(_)) => {}
            Err(error) => prop_assert!(false, "{error:?}"),
        }
        Ok(())
    }

    /// A claim of its own.
    fn request(&mut self, holder: &str, scope: Scope, max: u16, seconds: u64) -> ClaimRequest {
        self.claims += 1;
        let mut request = many(self.claims, max);
        request.claim.holder = identifier(holder);
        request.claim.lease = Duration::from_secs(seconds);
        ClaimRequest { scope, ..request }
    }

    /// Claims, and does so again after so many seconds.
    async fn claim(&mut self, request: ClaimRequest, lost: i64) -> Result<(), TestCaseError> {
        self.look().await?;
        let ClaimRequest {
            scope, max, claim, ..
        } = &request;
        let (max, whole) = (*max, claim.lease + GRACE);
        let (before, now) = (self.clock.elapsed(), self.clock.now());
        let claimed = self.store.claim(request.clone()).await;
        let claimed = claimed.map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert!(claimed.len() <= usize::from(max));
        let after = self.clock.elapsed();
        for task in &claimed {
            prop_assert!(scope.covers(task));
            let known = self.known.get_mut(&task.id).unwrap();
            // Nobody holds it, nobody cancelled it, and it has not ended.
            prop_assert!(known.lease.is_none_or(|(least, _)| least <= after));
            prop_assert!(!known.task.status.has_ended(), "{:?}", known.task);
            prop_assert_eq!(task.fence, known.task.fence.next());
            known.starts += 1;
            prop_assert_eq!(task.fence.get(), known.starts);
            known.lease = Some((before + whole, after + whole));
            known.task = task.clone();
        }
        if claimed.len() < usize::from(max) {
            // Then nothing that was ready is left behind.
            for known in self
                .known
                .values()
                .filter(|known| scope.covers(&known.task))
            {
                let Task { status, due_at, .. } = &known.task;
                let is_due = due_at.is_none_or(|due| due + B::LATENESS <= now);
                let is_ready =
                    *status == TaskStatus::New || (*status == TaskStatus::Waiting && is_due);
                prop_assert!(!is_ready, "left behind: {:?}", known.task);
            }
        }
        self.claim_again(request, &claimed, lost).await
    }

    /// An answer that got lost is given again, for a whole lease from then on.
    async fn claim_again(
        &mut self,
        request: ClaimRequest,
        claimed: &[Task],
        lost: i64,
    ) -> Result<(), TestCaseError> {
        let whole = request.claim.lease + GRACE;
        if claimed.is_empty() {
            return Ok(());
        }
        if lost > 0 {
            self.pass(SignedDuration::from_secs(lost)).await;
        }
        self.look().await?;
        let is_held = |task: &&Task| self.known[&task.id].lease.is_some();
        let mut held = ids(&claimed.iter().filter(is_held).cloned().collect::<Vec<_>>());
        if held.is_empty() {
            return Ok(());
        }
        let before = self.clock.elapsed();
        let again = self.store.claim(request).await.unwrap();
        let after = self.clock.elapsed();
        let mut again = ids(&again);
        again.sort_unstable();
        held.sort_unstable();
        prop_assert_eq!(&again, &held);
        for id in again {
            let known = self.known.get_mut(&id).unwrap();
            known.lease = Some((before + whole, after + whole));
        }
        Ok(())
    }

    /// Reads every task, and holds what changed by itself to the laws.
    async fn look(&mut self) -> Result<(), TestCaseError> {
        self.nudge().await;
        let looked = self.clock.elapsed();
        self.nudge().await;
        for known in self.known.values_mut() {
            let before = &known.task;
            let found = self
                .store
                .find(&before.tenant_id, before.id)
                .await
                .unwrap()
                .unwrap();
            prop_assert_eq!(found.fence, before.fence, "only a claim starts a task");
            prop_assert!(found.attempts_counted <= RetryPolicy::default().max_attempts);
            if let Some((least, most)) = known.lease {
                let is_held = found.status == TaskStatus::Executing;
                prop_assert!(
                    is_held || least <= self.clock.elapsed(),
                    "a lease was cut short"
                );
                let is_over = most + B::LATENESS <= looked;
                prop_assert!(!is_held || !is_over, "a lease did not end");
                if !is_held {
                    known.lease = None;
                }
            } else {
                prop_assert_eq!(&found, before, "it changed by itself");
            }
            known.task = found;
        }
        if B::HAS_A_CLOCK {
            return Ok(());
        }
        self.hear()
    }

    /// What the store tells of its work is so.
    fn hear(&self) -> Result<(), TestCaseError> {
        let before = self.clock.now();
        let told = self.store.load().due;
        let after = self.clock.now();
        prop_assert_eq!(told.len(), TaskType::ALL.len());
        for due in told {
            let tasks = self.known.values().map(|known| &known.task);
            let tasks = tasks.filter(|task| task.parameters.task_type() == due.task_type);
            let ready_from = |task: &Task| match task.status {
                TaskStatus::New => Some(task.id.created_at()),
                TaskStatus::Waiting => task.due_at,
                TaskStatus::Executing | TaskStatus::Success | TaskStatus::Failed => None,
            };
            let first = tasks.clone().filter_map(ready_from).min();
            let age = |now: Timestamp| {
                let age = first.map(|first| now.as_millisecond() - first.as_millisecond());
                Duration::from_millis(age.unwrap_or(0).max(0).unsigned_abs())
            };
            prop_assert!(
                (age(before)..=age(after)).contains(&due.oldest_age),
                "{due:?}, {first:?}"
            );
            let held = tasks.filter(|task| task.status == TaskStatus::Executing);
            prop_assert_eq!((due.leases, due.claims_waiting), (held.count(), 0));
        }
        Ok(())
    }

    /// Has the store look at the clock.
    async fn nudge(&self) {
        assert!(self.store.claim(nobodys()).await.unwrap().is_empty());
    }

    /// Everything ends: nothing is stranded.
    async fn drain(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..12 {
            self.pass(SignedDuration::from_hours(2)).await;
            let request = self.request("finisher", Scope::everything(), 100, 60);
            self.claim(request, 0).await?;
            let held = self.known.values().filter(|known| known.lease.is_some());
            let held: Vec<Task> = held.map(|known| known.task.clone()).collect();
            for task in held {
                self.apply(task.id, complete(&task)).await?;
            }
            if self
                .known
                .values()
                .all(|known| known.task.status.has_ended())
            {
                return Ok(());
            }
        }
        prop_assert!(false, "tasks are stranded");
        Ok(())
    }
}

async fn the_laws_hold_in_whichever_order_things_happen<B: Backend>(_: &B) {
    // Where a database's clock is moved most of it is waiting for what is due.
    let (runners, cases) = if B::HAS_A_CLOCK { (6, 1) } else { (2, 12) };
    let runtime = Handle::current();
    // Blocking, so that the limit of a single wait is not that of thousands: each has one.
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            for _ in 0..runners {
                scope.spawn(|| run::<B>(cases, &runtime));
            }
        });
    });
}

fn run<B: Backend>(cases: u32, runtime: &Handle) {
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::with_cases(cases)
    });
    let lived = |events: Vec<Event>| {
        runtime.block_on(async {
            let backend = B::default();
            let clock = MovedClock::new();
            let store = backend.open(&clock, NODE).await;
            let mut model = Model {
                backend: &backend,
                clock,
                store,
                order: Vec::new(),
                known: HashMap::new(),
                claims: 0,
            };
            for event in events {
                model.happen(event).await?;
            }
            model.drain().await?;
            model.store.close().await;
            Ok(())
        })
    };
    let events = proptest::collection::vec(any_event(), 1..60);
    runner.run(&events, lived).unwrap();
}
