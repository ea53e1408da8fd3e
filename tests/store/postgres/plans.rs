//! Reads cost what they return, however many tasks there are.

use std::sync::Arc;

use kootask::task::list::{Filter, Order, Page};
use kootask::task::repository::TaskRepository;
use kootask::task::{TaskId, TaskStatus, TaskType};

use super::super::{identifier, tenant};
use super::Place;
use crate::support::until;

const TASKS: i64 = 200_000;

/// How often each read is done: PostgreSQL may take another plan for a statement
/// that it has seen some times.
const ROUNDS: i64 = 10;

impl Place {
    /// Fills the database with tasks of four nodes and users, half of them
    /// imports, in every status.
    fn fill(&self) {
        self.database.sql(&format!(
            "INSERT INTO task (node, id, tenant_id, user_id, task_type, status, locale,
                               init_params, src_user_id)
             SELECT n / 16 % 4, ((200000000000 + n) << 23) | ((n / 16 % 4) << 7), 'tenant',
                 'user-' || n % 4, n / 2 % 2, n / 4 % 4, 'en-US',
                 CASE n / 2 % 2
                     WHEN 0 THEN '{{\"srcUserId\":\"source\",\"dstUserId\":\"recipient\"}}'
                     ELSE '{{\"resultId\":\"result\",\"orgId\":\"org\",\"orgUserId\":\"creator\"}}'
                 END,
                 CASE n / 2 % 2 WHEN 0 THEN 'source-' || n % 4 END
             FROM generate_series(0, {TASKS} - 1) AS n;
             ANALYZE task"
        ));
    }
}

/// Does every kind of read; how many tasks were asked for at most.
async fn read(store: &Arc<dyn TaskRepository>, some: TaskId) -> i64 {
    const LIMIT: u16 = 20;
    let mut asked = 0;
    for order in [Order::Ascending, Order::Descending] {
        for filter in [
            Filter::default(),
            Filter::new(Some(TaskType::BatchImport), &[]),
            Filter::new(None, &[TaskStatus::Failed]),
        ] {
            for (after, found) in [(None, LIMIT), (Some(some), LIMIT)] {
                let page = Page {
                    filter,
                    order,
                    after,
                    limit: LIMIT,
                };
                let listed = store.list(&tenant(), page).await.unwrap();
                assert_eq!(listed.len(), usize::from(found));
                let states = i64::try_from(filter.states().count()).unwrap();
                asked += states * i64::from(LIMIT);
            }
        }
    }
    assert!(store.find(&tenant(), some).await.unwrap().is_some());
    for (source, user) in [("source-0", "user-2"), ("nobody", "nobody")] {
        let is_there = source != "nobody";
        let transfer = store.newest_transfer(&tenant(), &identifier(source)).await;
        assert_eq!(transfer.unwrap().is_some(), is_there);
        let import = store.newest_import(&tenant(), &identifier(user)).await;
        assert_eq!(import.unwrap().is_some(), is_there);
    }
    asked + 5
}

#[tokio::test]
async fn no_read_scans_the_tasks_nor_reads_many_more_than_it_returns() {
    let place = Place::migrated().await;
    place.fill();
    let some = place.number(&format!("SELECT id FROM task LIMIT 1 OFFSET {}", TASKS / 2));
    let statistic = |of: &str| {
        place.number(&format!(
            "SELECT {of} FROM pg_stat_user_tables WHERE relname = 'task'"
        ))
    };
    until("the statistics so far", async || {
        statistic("n_tup_ins") == TASKS && statistic("seq_scan") > 0
    })
    .await;
    let (scans, fetched) = (statistic("seq_scan"), statistic("idx_tup_fetch"));

    let store = place.open(None).await;
    let mut asked = 0;
    for _ in 0..ROUNDS {
        asked += read(&store, TaskId::new(some).unwrap()).await;
    }
    // Its sessions tell what they did when they end.
    store.close().await;
    until("the statistics of the reads", async || {
        statistic("idx_scan") > 0
            && place.number(
                "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name = 'kootask'",
            ) == 0
    })
    .await;
    assert_eq!(statistic("seq_scan"), scans, "the tasks were scanned");
    let fetched = statistic("idx_tup_fetch") - fetched;
    assert!(fetched > 0 && fetched <= asked, "{fetched} for {asked}");
}

/// Until they are analysed the statistics know nothing of a new tenant's imports, and
/// an index that holds all of them looks as good as the one that is sorted.
#[tokio::test]
async fn a_list_of_imports_reads_a_page_although_the_statistics_lag() {
    const IMPORTS: i64 = 20_000;
    const LIMIT: u16 = 20;
    let place = Place::migrated().await;
    place.database.sql(&format!(
        "ALTER TABLE task SET (autovacuum_enabled = false);
         INSERT INTO task (node, id, tenant_id, user_id, task_type, status, locale, init_params,
                           src_user_id)
         SELECT 1, ((200000000000 + n) << 23) | (1 << 7), 'another', 'user', 0, n % 4, 'en-US',
             '{{\"srcUserId\":\"source\",\"dstUserId\":\"recipient\"}}', 'source'
         FROM generate_series(0, {TASKS} - 1) AS n;
         ANALYZE task;
         INSERT INTO task (node, id, tenant_id, user_id, task_type, status, locale, init_params)
         SELECT 1, ((210000000000 + n) << 23) | (1 << 7), 'tenant', 'user-' || n % 4, 1, 0,
             'en-US', '{{\"resultId\":\"result\",\"orgId\":\"org\",\"orgUserId\":\"creator\"}}'
         FROM generate_series(0, {IMPORTS} - 1) AS n"
    ));
    let scans = |index: &str| {
        place.number(&format!(
            "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = '{index}'"
        ))
    };
    let store = place.open(None).await;
    for order in [Order::Ascending, Order::Descending] {
        let page = Page {
            filter: Filter::new(Some(TaskType::BatchImport), &[]),
            order,
            after: None,
            limit: LIMIT,
        };
        let listed = store.list(&tenant(), page).await.unwrap();
        assert_eq!(listed.len(), usize::from(LIMIT));
    }
    let newest = store.newest_import(&tenant(), &identifier("user-1")).await;
    assert!(newest.unwrap().is_some());
    // Its sessions tell what they did when they end.
    store.close().await;
    until("the statistics of the reads", async || {
        scans("task_by_state") > 0 && scans("import_by_user") > 0
    })
    .await;
    assert_eq!(scans("import_by_user"), 1, "it is for the newest alone");
}
