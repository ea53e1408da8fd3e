//! Workers that are served by several instances: each task ends once, whoever of them
//! all is killed or paused.

use std::time::Duration;

use super::LIMIT;
use crate::durability::load::Load;
use crate::support::crew::{ATTEMPTS, Crew, Row, TASKS};
use crate::support::postgres::TestDatabase;
use crate::support::process::TestProcess;
use crate::support::until;

impl TestDatabase {
    fn rows(&self, query: &str) -> Vec<Row> {
        let lines = self.sql(query);
        let row = |line: &str| -> Row {
            let numbers: Vec<i64> = line.split('|').map(|text| text.parse().unwrap()).collect();
            numbers.try_into().unwrap()
        };
        lines.lines().map(row).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_task_ends_once_though_instances_and_workers_are_killed_and_paused() {
    let database = TestDatabase::shared();
    let instance = || TestProcess::dev(&database.url);
    let (killed, paused, kept) = (instance(), instance(), instance());
    let mut crew = Crew::new();
    crew.knows(&[killed.address, paused.address, kept.address]);
    let (dies, sleeps) = (crew.hire(), crew.hire());
    let _others = [crew.hire(), crew.hire()];
    let rest = Duration::from_millis(150);
    let load = Load::start_resting(kept.address, 2, "load", rest);
    until("work to be done", async || crew.ended() >= 20).await;

    let lost = crew.pause(&dies).await;
    dies.kill();
    killed.kill();
    let next = instance();
    crew.knows(&[paused.address, kept.address, next.address]);
    let _another = crew.hire();
    paused.signal("STOP");
    let late = crew.pause(&sleeps).await;
    // By an instance that goes on.
    until("leases to end", async || {
        let over: Vec<_> = database.rows(ATTEMPTS);
        let is_over = |(task, fence): &(i64, u32)| {
            let of_start = |row: &&Row| row[0] == *task && row[1] == i64::from(*fence);
            over.iter().any(|row| of_start(&row))
        };
        lost.iter().chain(&late).all(is_over)
    })
    .await;
    sleeps.signal("CONT");
    paused.signal("CONT");
    let created = load.stop().await;
    assert_eq!(created.unknown, [""; 0]);
    until("every task to end", async || {
        database.is_true("NOT EXISTS (SELECT FROM task WHERE status <> 2)")
    })
    .await;
    until("late reports", async || {
        crew.told().refused.is_superset(&late)
    })
    .await;
    assert_eq!(database.sql("SELECT count(*) FROM lease"), "0");
    crew.assert_kept(&database.rows(TASKS), &database.rows(ATTEMPTS), 0.0);
    paused.signal("TERM");
    assert_eq!(paused.ended_within(LIMIT).await.code(), Some(0));
}
