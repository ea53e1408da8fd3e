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
    place
        .database
        .sql("ALTER TABLE task SET (autovacuum_enabled = false)");
    place.fill();
    place.database.sql(&format!(
        "INSERT INTO task (node, id, tenant_id, user_id, task_type, status, locale, init_params)
         SELECT 5, ((210000000000 + n) << 23) | (5 << 7), 'newcomer', 'user-' || n % 4, 1, 0,
             'en-US', '{{\"resultId\":\"result\",\"orgId\":\"org\",\"orgUserId\":\"creator\"}}'
         FROM generate_series(0, {IMPORTS} - 1) AS n"
    ));
    for order in ["ASC", "DESC"] {
        let plan = place.database.sql(&format!(
            "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF)
             (SELECT * FROM task WHERE tenant_id = 'newcomer' AND task_type = 1 AND status = 0
              AND id > 0 ORDER BY id {order} LIMIT {LIMIT})"
        ));
        assert!(plan.contains("task_by_state"), "{plan}");
        assert!(!plan.contains("Sort"), "{plan}");
    }
    let newest = place.database.sql(
        "EXPLAIN SELECT * FROM task WHERE tenant_id = 'newcomer' AND user_id = 'user-1'
             AND task_type = 1 AND user_id <> '' ORDER BY id DESC LIMIT 1",
    );
    assert!(newest.contains("import_by_user"), "{newest}");
}
