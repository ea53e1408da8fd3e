//! Reading: a task, lists, and the newest of a user.

use std::sync::Arc;

use kootask::task::life_cycle::Step;
use kootask::task::list::{Filter, Order, Page};
use kootask::task::repository::TaskRepository;
use kootask::task::{NewTask, Task, TaskId, TaskStatus, TaskType, TenantId};
use tokio::task::JoinSet;

use super::{Backend, contract};
use crate::store::{
    MovedClock, NODE, batch_import, create, create_new, identifier, key, step, tenant, transfer,
};

contract! {
    every backend:
    a_task_is_found_as_it_was_created_and_only_by_its_tenant,
    a_list_shows_the_tenants_tasks_of_the_types_and_statuses_asked_for,
    walking_a_list_gives_every_task_once_whatever_is_created_meanwhile,
    a_walk_downwards_gives_every_task_once,
    no_task_appears_behind_one_that_was_seen,
    the_newest_transfer_of_a_source_user_is_found,
    the_newest_import_of_a_user_is_found,
}

/// The same task of another tenant.
fn of_another_tenant(task: NewTask) -> NewTask {
    NewTask {
        tenant_id: another_tenant(),
        ..task
    }
}

fn another_tenant() -> TenantId {
    identifier("another-tenant").into()
}

fn page(limit: u16) -> Page {
    Page {
        filter: Filter::default(),
        order: Order::Ascending,
        after: None,
        limit,
    }
}

async fn ids(store: &Arc<dyn TaskRepository>, page: Page) -> Vec<TaskId> {
    let tasks = store.list(&tenant(), page).await.unwrap();
    tasks.iter().map(|task| task.id).collect()
}

/// All ids, page by page; something is done after each.
async fn walk(
    store: &Arc<dyn TaskRepository>,
    mut page: Page,
    mut between: impl AsyncFnMut(),
) -> Vec<TaskId> {
    let mut all = Vec::new();
    loop {
        let next = ids(store, page).await;
        let Some(last) = next.last() else {
            return all;
        };
        page.after = Some(*last);
        all.extend(next);
        between().await;
    }
}

async fn a_task_is_found_as_it_was_created_and_only_by_its_tenant(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    for task in [transfer("source"), batch_import("result")] {
        let id = create_new(&store, task.clone(), None).await;
        let found = store.find(&tenant(), id).await.unwrap();
        assert_eq!(found, Some(Task::new(id, task)));
        assert_eq!(store.find(&another_tenant(), id).await.unwrap(), None);
        let next = TaskId::new(id.get() + 1).unwrap();
        assert_eq!(store.find(&tenant(), next).await.unwrap(), None);
    }
}

async fn a_list_shows_the_tenants_tasks_of_the_types_and_statuses_asked_for(
    backend: &impl Backend,
) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let mut tasks = Vec::new();
    for number in 0..24 {
        let task = match number % 2 {
            0 => transfer("source"),
            _ => batch_import("result"),
        };
        create_new(&store, of_another_tenant(task.clone()), None).await;
        let id = create_new(&store, task.clone(), None).await;
        let fail = Step::Fail("18000205".parse().unwrap());
        let steps = [Step::Start, [Step::Succeed, fail][number % 4 / 2]];
        let mut status = TaskStatus::New;
        for taken in &steps[..number % 3] {
            status = step(&store, id, *taken).await.status;
        }
        tasks.push((id, task.parameters.task_type(), status));
    }
    let types = [
        None,
        Some(TaskType::TransferAndDeletion),
        Some(TaskType::BatchImport),
    ];
    for kind in types {
        // Every choice of statuses; none stands for all.
        for choice in 0..32_u8 {
            let statuses: Vec<TaskStatus> = TaskStatus::ALL
                .into_iter()
                .enumerate()
                .filter(|(position, _)| choice & (1 << position) != 0)
                .map(|(_, status)| status)
                .collect();
            let mut expected: Vec<TaskId> = tasks
                .iter()
                .filter(|(_, of, _)| kind.is_none_or(|kind| kind == *of))
                .filter(|(_, _, status)| choice == 0 || statuses.contains(status))
                .map(|(id, _, _)| *id)
                .collect();
            for order in [Order::Ascending, Order::Descending] {
                let filter = Filter::new(kind, &statuses);
                let found = ids(
                    &store,
                    Page {
                        filter,
                        order,
                        ..page(100)
                    },
                )
                .await;
                assert_eq!(found, expected, "{kind:?} {statuses:?} {order:?}");
                expected.reverse();
            }
        }
    }
}

async fn walking_a_list_gives_every_task_once_whatever_is_created_meanwhile(
    backend: &impl Backend,
) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let mut before = Vec::new();
    for _ in 0..60 {
        before.push(create_new(&store, transfer("source"), None).await);
    }
    let mut meanwhile = Vec::new();
    let walked = walk(&store, page(7), async || {
        if meanwhile.len() < 20 {
            meanwhile.push(create_new(&store, batch_import("result"), None).await);
        }
    })
    .await;
    assert_eq!(walked, [before, meanwhile].concat());
}

async fn a_walk_downwards_gives_every_task_once(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let mut before = Vec::new();
    for _ in 0..30 {
        before.push(create_new(&store, transfer("source"), None).await);
    }
    before.reverse();
    let downwards = Page {
        order: Order::Descending,
        ..page(7)
    };
    let walked = walk(&store, downwards, async || {
        create_new(&store, transfer("source"), None).await;
    })
    .await;
    assert_eq!(walked, before);
}

async fn no_task_appears_behind_one_that_was_seen(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            for number in 0..150 {
                let key = key(&format!("{writer}-{number}"));
                create(&store, transfer("source"), Some(key)).await.unwrap();
            }
        });
    }
    let mut seen = Vec::new();
    let mut done = false;
    while !done {
        done = writers.is_empty();
        // What is new is all there is to see after what was seen.
        let after = seen.last().copied();
        seen.extend(ids(&store, Page { after, ..page(101) }).await);
        while writers.try_join_next().is_some() {}
    }
    seen.extend(
        walk(
            &store,
            Page {
                after: seen.last().copied(),
                ..page(101)
            },
            async || (),
        )
        .await,
    );
    assert_eq!(seen.len(), 8 * 150);
    assert!(seen == walk(&store, page(100), async || ()).await);
}

async fn the_newest_transfer_of_a_source_user_is_found(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let newest = async |user: &str| {
        let found = store
            .newest_transfer(&tenant(), &identifier(user))
            .await
            .unwrap();
        found.map(|task| task.id)
    };
    assert_eq!(newest("one").await, None);
    for _ in 0..3 {
        let one = create_new(&store, transfer("one"), None).await;
        let other = create_new(&store, transfer("other"), None).await;
        create_new(&store, of_another_tenant(transfer("one")), None).await;
        create_new(&store, batch_import("one"), None).await;
        assert_eq!(newest("one").await, Some(one));
        assert_eq!(newest("other").await, Some(other));
        // Its life does not change whose it is.
        step(&store, other, Step::Start).await;
        assert_eq!(newest("other").await, Some(other));
    }
    assert_eq!(newest("recipient").await, None);
}

async fn the_newest_import_of_a_user_is_found(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let newest = async |user: &str| {
        let found = store
            .newest_import(&tenant(), &identifier(user))
            .await
            .unwrap();
        found.map(|task| task.id)
    };
    assert_eq!(newest("caller").await, None);
    for _ in 0..3 {
        let id = create_new(&store, batch_import("result"), None).await;
        create_new(&store, of_another_tenant(batch_import("result")), None).await;
        create_new(&store, transfer("caller"), None).await;
        assert_eq!(newest("caller").await, Some(id));
        assert_eq!(newest("creator").await, None);
    }
}
