//! The laws of lists, as properties.

use std::sync::Arc;
use std::time::Duration;

use kootask::task::attempt::{Claim, Fence};
use kootask::task::life_cycle::{Command, Report, Step};
use kootask::task::list::{Filter, Order, Page};
use kootask::task::repository::TaskRepository;
use kootask::task::scope::{Scope, Target};
use kootask::task::{NewTask, TaskId, TaskStatus, TaskType};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use uuid::Uuid;

use super::{Backend, contract};
use crate::store::{
    MovedClock, NODE, batch_import, create_new, identifier, step, tenant, transfer,
};

contract! {
    every backend:
    lists_are_what_a_model_says,
    walking_the_cursor_under_writes_gives_every_old_task_exactly_once,
}

fn of_other_tenant(task: NewTask) -> NewTask {
    NewTask {
        tenant_id: identifier("other-tenant").into(),
        ..task
    }
}

/// A task, taken to this status.
async fn create_in(store: &Arc<dyn TaskRepository>, task: NewTask, status: TaskStatus) -> TaskId {
    let scope = Scope::tenant(task.tenant_id.clone());
    let id = create_new(store, task, None).await;
    let target = Target { id, scope };
    let fail = Step::Fail("18000205".parse().unwrap());
    let report = Report {
        fence: Fence::new(1),
        holder: identifier("migrator"),
    };
    let claim = Claim {
        claim_id: Uuid::nil(),
        worker: identifier("w1"),
        holder: identifier("migrator"),
        lease: Duration::from_secs(60),
    };
    let timeout = Duration::from_secs(3600);
    let start = Command::Step(Step::Start);
    let way = match status {
        TaskStatus::New => vec![],
        TaskStatus::Waiting => vec![Command::Claim { claim, timeout }, Command::Release(report)],
        TaskStatus::Executing => vec![start],
        TaskStatus::Success => vec![start, Command::Step(Step::Succeed)],
        TaskStatus::Failed => vec![start, Command::Step(fail)],
    };
    for command in way {
        store.apply(target.clone(), command).await.unwrap();
    }
    id
}

fn any_page() -> impl Strategy<Value = (Option<TaskType>, Vec<TaskStatus>, bool, Option<usize>, u16)>
{
    (
        proptest::option::of(proptest::sample::select(TaskType::ALL.to_vec())),
        proptest::sample::subsequence(TaskStatus::ALL.to_vec(), 0..=4),
        any::<bool>(),
        proptest::option::of(0_usize..80),
        1_u16..=101,
    )
}

async fn lists_are_what_a_model_says(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let mut model = Vec::new();
    for number in 0..80_usize {
        let new = if number % 3 == 0 {
            batch_import("result")
        } else {
            transfer("source")
        };
        let kind = new.parameters.task_type();
        let status = TaskStatus::ALL[number * 7 % 4];
        model.push((create_in(&store, new, status).await, kind, status));
        create_new(&store, of_other_tenant(transfer("source")), None).await;
    }
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        let mut runner = TestRunner::new(Config::with_cases(128));
        let listed =
            |(kind, statuses, descending, after, limit): (_, Vec<_>, bool, Option<usize>, _)| {
                let after = after.map(|position| model[position].0);
                let order = if descending {
                    Order::Descending
                } else {
                    Order::Ascending
                };
                let page = Page {
                    filter: Filter::new(kind, &statuses),
                    order,
                    after,
                    limit,
                };
                let mut expected: Vec<TaskId> = model
                    .iter()
                    .filter(|(_, of, _)| kind.is_none_or(|kind| kind == *of))
                    .filter(|(_, _, of)| statuses.is_empty() || statuses.contains(of))
                    .map(|(id, _, _)| *id)
                    .filter(|id| {
                        after.is_none_or(|after| if descending { *id < after } else { *id > after })
                    })
                    .collect();
                if descending {
                    expected.reverse();
                }
                expected.truncate(usize::from(limit));
                let found = runtime.block_on(store.list(&tenant(), page)).unwrap();
                let found: Vec<TaskId> = found.iter().map(|task| task.id).collect();
                prop_assert_eq!(found, expected);
                Ok(())
            };
        runner.run(&any_page(), listed).unwrap();
    });
}

/// The law of the cursor: whatever is created and completed meanwhile.
async fn walking_the_cursor_under_writes_gives_every_old_task_exactly_once(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let mut old = Vec::new();
    for number in 0..150 {
        old.push(create_new(&store, transfer(&format!("source-{number}")), None).await);
    }
    let strategy = (1_u16..=40, any::<bool>());
    let runtime = tokio::runtime::Handle::current();
    let writers: Vec<_> = (0..2)
        .map(|writer| {
            let (store, old) = (Arc::clone(&store), old.clone());
            tokio::spawn(async move {
                // Completes each second old task, and creates without end.
                for id in old.into_iter().skip(writer).step_by(2) {
                    step(&store, id, Step::Start).await;
                    create_new(&store, transfer("young"), None).await;
                    step(&store, id, Step::Succeed).await;
                }
                for _ in 0..2_000 {
                    create_new(&store, batch_import("young"), None).await;
                }
            })
        })
        .collect();
    tokio::task::block_in_place(|| {
        let mut runner = TestRunner::new(Config::with_cases(24));
        let walked = |(limit, descending)| {
            let order = if descending {
                Order::Descending
            } else {
                Order::Ascending
            };
            let mut seen = Vec::new();
            let mut next = Page {
                order,
                limit,
                filter: Filter::default(),
                after: None,
            };
            loop {
                let found = runtime.block_on(store.list(&tenant(), next)).unwrap();
                seen.extend(
                    found
                        .iter()
                        .map(|task| task.id)
                        .filter(|id| old.contains(id)),
                );
                // Young tasks are endless at the end of an ascending walk.
                let past_old = !descending && seen.len() >= old.len();
                match found.last() {
                    Some(last) if found.len() == usize::from(limit) && !past_old => {
                        next.after = Some(last.id);
                    }
                    _ => break,
                }
            }
            if descending {
                seen.reverse();
            }
            prop_assert_eq!(&seen, &old);
            Ok(())
        };
        runner.run(&strategy, walked).unwrap();
    });
    for writer in writers {
        writer.abort();
    }
}
