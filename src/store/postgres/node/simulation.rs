//! A day of instances that pause, are cut off, crash and have wrong clocks, in
//! simulated time, with the real statements on a real database. The database's
//! `now()` is the simulation's too: a function of that name stands before its own
//! in the search path.

#![allow(
    clippy::arithmetic_side_effects,
    reason = "a test may panic: that is how it fails"
)]

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use tokio::time::Instant;
use uuid::Uuid;

use super::HeldNode;
use super::NoId;
use super::keeper::LeaseKeeper;
use crate::store::postgres::{PostgresUrl, migrate};
use crate::task::TaskId;
use crate::task::clock::Clock;
use crate::task::repository::StoreError;

const START_MILLIS: i64 = 1_795_000_000_000;
const INSTANCES: usize = 3;

/// The wall clock of one instance, in Unix milliseconds.
struct WallClock(AtomicI64);

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::Relaxed)).unwrap()
    }
}

/// An instance as it is between crashes.
struct Instance {
    clock: Arc<WallClock>,
    /// How far its clock is ahead, in milliseconds.
    skew: i64,
    keeper: LeaseKeeper,
    paused_until: Duration,
    cut_off_until: Duration,
    /// It was paused in the middle of drawing an id: it had looked at this moment
    /// whether its lease holds.
    drawing_since: Option<Instant>,
    wants_renewal: bool,
}

/// What was made for a node under one lease.
struct Holding {
    holder: Uuid,
    /// The smallest and the largest id.
    ids: Option<(TaskId, TaskId)>,
}

struct World {
    random: StdRng,
    connection: PgConnection,
    begun: Instant,
    /// What has passed.
    now: Duration,
    wanted: Option<u16>,
    /// How far the database's clock is ahead, in milliseconds.
    database_skew: i64,
    instances: Vec<Instance>,
    ids: HashSet<TaskId>,
    /// Of each node, in the order of the leases.
    holdings: HashMap<u16, Vec<Holding>>,
}

/// The URL of an empty database with the schema.
async fn database() -> PostgresUrl {
    let server = std::env::var("KOOTASK_TEST_POSTGRES").expect("start the tests by tests/run");
    let name = format!("simulation_{}", Uuid::new_v4().simple());
    let mut connection = server
        .parse::<PgConnectOptions>()
        .unwrap()
        .connect()
        .await
        .unwrap();
    let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
    connection.execute(create).await.unwrap();
    let url = server.replace("/postgres?", &format!("/{name}?"));
    let url: PostgresUrl = url.parse().unwrap();
    migrate(&url).await.unwrap();
    url
}

/// A session whose `now()` is the setting `simulation.now`.
async fn session(url: &PostgresUrl) -> PgConnection {
    let mut connection = url.options().unwrap().connect().await.unwrap();
    connection
        .execute(
            "CREATE SCHEMA simulation;
             CREATE FUNCTION simulation.now() RETURNS timestamptz LANGUAGE sql STABLE
             AS $$ SELECT to_timestamp(current_setting('simulation.now')::double precision) $$;
             SET search_path = simulation, pg_catalog, public",
        )
        .await
        .unwrap();
    connection
}

impl Instance {
    fn new(now: Duration, wanted: Option<u16>) -> Self {
        let clock = Arc::new(WallClock(AtomicI64::new(0)));
        Self {
            keeper: LeaseKeeper::new(wanted, clock.clone()),
            clock,
            skew: 0,
            paused_until: now,
            cut_off_until: now,
            drawing_since: None,
            wants_renewal: false,
        }
    }

    /// What it holds, or believes to hold.
    fn held(&self) -> Option<HeldNode> {
        self.keeper.ids().state.borrow().held.clone()
    }
}

impl World {
    /// Instances that want this node, or any.
    async fn new(wanted: Option<u16>) -> Self {
        let url = database().await;
        Self {
            random: StdRng::seed_from_u64(seed()),
            connection: session(&url).await,
            begun: Instant::now(),
            now: Duration::ZERO,
            wanted,
            database_skew: 0,
            instances: (0..INSTANCES)
                .map(|_| Instance::new(Duration::ZERO, wanted))
                .collect(),
            ids: HashSet::new(),
            holdings: HashMap::new(),
        }
    }

    fn instant(&self) -> Instant {
        self.begun + self.now
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        self.random.random_range(Duration::ZERO..=most)
    }

    fn one_in(&mut self, many: u32) -> bool {
        self.random.random_ratio(1, many)
    }

    /// Something happens to an instance, now and then.
    async fn befall(&mut self, number: usize) {
        let (now, instant) = (self.now, self.instant());
        if self.one_in(200) {
            let until = now + self.up_to(Duration::from_secs(60));
            let amid_draw = self.one_in(2);
            let instance = &mut self.instances[number];
            instance.paused_until = until;
            instance.drawing_since = amid_draw.then_some(instant);
        }
        if self.one_in(200) {
            self.instances[number].cut_off_until = now + self.up_to(Duration::from_secs(60));
        }
        if self.one_in(300) {
            self.instances[number].skew = match self.random.random_range(0..4) {
                0 => self.random.random_range(-3_000..3_000),
                1 => self.random.random_range(-100_000..100_000),
                _ => 0,
            };
        }
        if self.one_in(150) {
            let next = Instance::new(now, self.wanted);
            let gone = std::mem::replace(&mut self.instances[number], next);
            let is_reachable = now >= gone.cut_off_until;
            if is_reachable && self.one_in(2) {
                self.set_database_clock().await;
                gone.keeper.release(&mut self.connection).await.unwrap();
            }
            self.instances[number].skew = gone.skew;
        }
    }

    async fn set_database_clock(&mut self) {
        let millis = START_MILLIS + self.now.as_millis() as i64 + self.database_skew;
        sqlx::query("SELECT set_config('simulation.now', $1, false)")
            .bind((millis as f64 / 1_000.0).to_string())
            .execute(&mut self.connection)
            .await
            .unwrap();
    }

    /// The instance keeps its lease, as its writer does.
    async fn keep(&mut self, number: usize) {
        let (now, instant) = (self.now, self.instant());
        let answer_lost = self.one_in(50);
        self.set_database_clock().await;
        let instance = &mut self.instances[number];
        if !std::mem::take(&mut instance.wants_renewal) && instant < instance.keeper.due {
            return;
        }
        let kept = if now < instance.cut_off_until {
            Err(StoreError::TimedOut(Duration::ZERO))
        } else if answer_lost {
            if let Some(HeldNode { lease, .. }) = instance.held() {
                let renewed = lease.renew(&mut self.connection, lease.ids_below);
                renewed.await.unwrap();
            }
            Err(StoreError::TimedOut(Duration::ZERO))
        } else {
            instance.keeper.keep(&mut self.connection, instant).await
        };
        if let Err(error) = kept {
            instance.keeper.failed(error, instant);
        } else if let Some(HeldNode { lease, .. }) = instance.held() {
            let holdings = self.holdings.entry(lease.node).or_default();
            if holdings
                .last()
                .is_none_or(|last| last.holder != lease.holder)
            {
                holdings.push(Holding {
                    holder: lease.holder,
                    ids: None,
                });
            }
        }
    }

    /// The instance draws some ids, none of which anybody ever drew.
    fn draw(&mut self, number: usize) {
        let draws = self.random.random_range(0..4);
        let instant = self.instant();
        let instance = &mut self.instances[number];
        // What it was at when it was paused comes first.
        let moments = instance.drawing_since.take().into_iter();
        for moment in moments.chain(std::iter::repeat_n(instant, draws)) {
            match instance.keeper.ids().next_id(moment) {
                Ok(id) => {
                    assert!(self.ids.insert(id), "{id} was made twice");
                    let held = instance.held().unwrap();
                    let holdings = self.holdings.get_mut(&id.node()).unwrap();
                    let holding = holdings
                        .iter_mut()
                        .find(|holding| holding.holder == held.lease.holder)
                        .unwrap();
                    let (first, last) = holding.ids.unwrap_or((id, id));
                    holding.ids = Some((first.min(id), last.max(id)));
                }
                Err(NoId::Lease) => instance.wants_renewal = true,
                Err(NoId::Wait(_) | NoId::Store(_)) => {}
            }
        }
    }

    /// The ids of a node grow from holder to holder, even those that a holder made
    /// when it had lost the node and did not know.
    fn assert_ids_of_a_node_grow(&self) {
        for (node, holdings) in &self.holdings {
            let ranges: Vec<_> = holdings.iter().filter_map(|holding| holding.ids).collect();
            assert!(
                ranges.is_sorted_by(|(_, last), (next, _)| last < next),
                "{node}: {ranges:?}"
            );
        }
    }

    /// No node is held by two that are sure of it.
    fn assert_nodes_are_not_shared(&self) {
        let held = self.instances.iter().filter_map(Instance::held);
        let nodes: Vec<u16> = held
            .filter(|held| self.instant() < held.sure_until)
            .map(|held| held.lease.node)
            .collect();
        let different: HashSet<&u16> = nodes.iter().collect();
        assert_eq!(different.len(), nodes.len(), "{nodes:?} at {:?}", self.now);
    }

    async fn step(&mut self) {
        self.now += self
            .random
            .random_range(Duration::from_millis(1)..Duration::from_secs(4));
        for number in 0..INSTANCES {
            self.befall(number).await;
            let instance = &self.instances[number];
            let wall = START_MILLIS + self.now.as_millis() as i64 + instance.skew;
            instance.clock.0.store(wall, Ordering::Relaxed);
            if self.now >= instance.paused_until {
                self.draw(number);
                self.keep(number).await;
                self.draw(number);
            }
        }
    }
}

/// A seed of the environment's choice, to repeat a failure, or any other.
fn seed() -> u64 {
    let seed = match std::env::var("TEST_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => rand::random(),
    };
    eprintln!("TEST_SEED={seed}");
    seed
}

#[tokio::test]
async fn in_a_day_of_trouble_no_id_is_made_twice_and_no_node_is_shared() {
    let mut world = World::new(None).await;
    while world.now < Duration::from_hours(24) {
        world.step().await;
        world.assert_nodes_are_not_shared();
    }
    world.assert_ids_of_a_node_grow();
    // Most of the time there were ids to be had.
    assert!(world.ids.len() > 100_000, "only {}", world.ids.len());
}

#[tokio::test]
async fn instances_that_want_the_same_node_have_it_in_turns() {
    let mut world = World::new(Some(337)).await;
    while world.now < Duration::from_hours(4) {
        world.step().await;
        world.assert_nodes_are_not_shared();
    }
    world.assert_ids_of_a_node_grow();
    let turns = world.holdings[&337].len();
    assert!(turns > 20 && world.ids.len() > 5_000, "{turns} turns");
}

/// Then a lease can be over too early and a node be shared for a moment; an id
/// is still made once.
#[tokio::test]
async fn not_even_a_database_whose_clock_jumps_makes_an_id_twice() {
    let mut world = World::new(Some(337)).await;
    while world.now < Duration::from_hours(4) {
        if world.one_in(20) {
            world.database_skew = world.random.random_range(-60_000..60_000);
        }
        world.step().await;
    }
    world.assert_ids_of_a_node_grow();
    let turns = world.holdings[&337].len();
    assert!(turns > 100 && world.ids.len() > 5_000, "{turns} turns");
}
