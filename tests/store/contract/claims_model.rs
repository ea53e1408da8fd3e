//! The laws of a task's life, whatever happens in whichever order.
//!
//! Contract: `worker.md`, "Laws".

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use kootask::task::attempt::{Actor, Claim, GRACE};
use kootask::task::claim::ClaimRequest;
use kootask::task::clock::Clock;
use kootask::task::life_cycle::{Command, Report};
use kootask::task::repository::{ApplyError, TaskRepository};
use kootask::task::retry::RetryPolicy;
use kootask::task::scope::{Scope, Target};
use kootask::task::{NewTask, Task, TaskId, TaskStatus, TaskType, TenantId};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use uuid::Uuid;

use super::{Backend, contract};
use crate::store::{MovedClock, NODE, batch_import, create_new, identifier, transfer};

contract! {
    backends of one process:
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
        8 => (0..HOLDERS.len(), proptest::option::of(0..TENANTS.len()), 1_u16..5, 10_u64..100)
            .prop_map(|(holder, tenant, max, seconds)| Event::Claim { holder, tenant, max, seconds }),
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
                let tenant_id = TenantId::from(identifier(TENANTS[tenant]));
                let new = NewTask { tenant_id, ..task };
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
            } => {
                let scope = tenant.map_or_else(Scope::everything, |tenant| {
                    Scope::tenant(identifier(TENANTS[tenant]).into())
                });
                self.claim(HOLDERS[holder], scope, max, Duration::from_secs(seconds))
                    .await?;
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
            Event::Pass(seconds) => self.clock.pass(SignedDuration::from_secs(seconds)),
            Event::Step(seconds) => self.clock.move_by(SignedDuration::from_secs(seconds)),
            Event::Reopen if B::IS_DURABLE => self.reopen().await,
            Event::Reopen => {}
        }
        self.look().await
    }

    async fn reopen(&mut self) {
        self.store.close().await;
        let before = self.clock.elapsed();
        self.store = self.backend.open(&self.clock, NODE).await;
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
        let actor = Actor {
            credential: None,
            user_id: identifier("admin"),
        };
        match self.nth(number).map(|known| known.task.id) {
            Some(id) => self.apply(id, command(actor)).await,
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
        let Some(attempt) = &task.attempt else {
            return Ok(());
        };
        let report = Report {
            fence: task.fence,
            holder: attempt.claim.holder.clone(),
        };
        self.apply(task.id, command(report)).await
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

    async fn claim(
        &mut self,
        holder: &str,
        scope: Scope,
        max: u16,
        lease: Duration,
    ) -> Result<(), TestCaseError> {
        self.look().await?;
        self.claims += 1;
        let (before, now) = (self.clock.elapsed(), self.clock.now());
        let request = ClaimRequest {
            claim: Claim {
                claim_id: Uuid::from_u128(self.claims),
                worker: identifier("w1"),
                holder: identifier(holder),
                lease,
            },
            scope: scope.clone(),
            max,
            wait: Duration::ZERO,
        };
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
            known.lease = Some((before + lease + GRACE, after + lease + GRACE));
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
                let is_due = due_at.is_none_or(|due| due <= now);
                let is_ready =
                    *status == TaskStatus::New || (*status == TaskStatus::Waiting && is_due);
                prop_assert!(!is_ready, "left behind: {:?}", known.task);
            }
        }
        // An answer that got lost is given again.
        let again = self.store.claim(request).await.unwrap();
        if !claimed.is_empty() {
            let ids = |tasks: &[Task]| -> Vec<TaskId> {
                let mut ids: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
                ids.sort_unstable();
                ids
            };
            prop_assert_eq!(ids(&again), ids(&claimed));
        } else {
            prop_assert!(again.is_empty());
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
                prop_assert!(!is_held || most > looked, "a lease did not end");
                if !is_held {
                    known.lease = None;
                }
            } else {
                prop_assert_eq!(&found, before, "it changed by itself");
            }
            known.task = found;
        }
        Ok(())
    }

    /// Has the store look at the clock.
    async fn nudge(&self) {
        let nobodys = ClaimRequest {
            claim: Claim {
                claim_id: Uuid::nil(),
                worker: identifier("w1"),
                holder: identifier("nobody"),
                lease: Duration::from_secs(10),
            },
            scope: Scope {
                task_types: TaskType::ALL.into(),
                ..Scope::tenant(identifier("nobody").into())
            },
            max: 1,
            wait: Duration::ZERO,
        };
        assert!(self.store.claim(nobodys).await.unwrap().is_empty());
    }

    /// Everything ends: nothing is stranded.
    async fn drain(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..12 {
            self.clock.pass(SignedDuration::from_hours(2));
            self.claim(
                "finisher",
                Scope::everything(),
                100,
                Duration::from_secs(60),
            )
            .await?;
            let held: Vec<Task> = self
                .known
                .values()
                .filter(|known| known.lease.is_some())
                .map(|known| known.task.clone())
                .collect();
            for task in held {
                let holder = task.attempt.unwrap().claim.holder;
                let report = Report {
                    fence: task.fence,
                    holder,
                };
                self.apply(
                    task.id,
                    Command::Complete {
                        report,
                        counts: None,
                    },
                )
                .await?;
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
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        let mut runner = TestRunner::new(Config {
            failure_persistence: None,
            ..Config::with_cases(24)
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
                model.drain().await
            })
        };
        let events = proptest::collection::vec(any_event(), 1..60);
        runner.run(&events, lived).unwrap();
    });
}
