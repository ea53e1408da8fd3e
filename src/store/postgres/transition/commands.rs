//! Commands that share a transaction.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::postgres::PgConnection;

use super::changes::Changes;
use super::rows::{self, Key, Locked};
use super::{Applied, Transition};
use crate::task::life_cycle::{Command, LeaseChange};
use crate::task::repository::{ApplyError, StoreError};

/// What becomes of a command when the transaction is committed; nothing yet, where
/// another session has the task locked.
pub(super) type Outcome = Option<Applied>;

/// Why a task that is wanted is not locked by this transaction.
enum Absence {
    Locked,
    Corrupt(StoreError),
}

/// Applies commands in order, those of one task one after the other; what becomes
/// of each.
///
/// A task of which there are only heartbeats, and none that changes more than its
/// lease, is not locked, unless all are to be (`lock_all`).
pub(super) async fn apply(
    connection: &mut PgConnection,
    commands: &[&Transition],
    changes: &mut Changes,
    lock_all: bool,
) -> Result<Vec<Outcome>, sqlx::Error> {
    let quiet = if lock_all {
        BTreeMap::new()
    } else {
        read_quiet(connection, commands).await?
    };
    let to_lock: BTreeSet<Key> = keys(commands)
        .filter(|key| !quiet.contains_key(key))
        .collect();
    let absent = lock(connection, &to_lock, changes).await?;
    let outcome = |transition: &&Transition| match quiet.get(&key(transition)) {
        Some(read) => Some(heartbeat(transition, read, changes)),
        None => apply_to_locked(transition, &absent, changes),
    };
    Ok(commands.iter().map(outcome).collect())
}

fn key(transition: &Transition) -> Key {
    Key::of(transition.target.id)
}

fn keys(commands: &[&Transition]) -> impl Iterator<Item = Key> {
    commands.iter().map(|transition| key(transition))
}

/// Reads the tasks of which there are only heartbeats that change no task.
async fn read_quiet(
    connection: &mut PgConnection,
    commands: &[&Transition],
) -> Result<BTreeMap<Key, Locked>, sqlx::Error> {
    let is_heartbeat = |of: &Transition| matches!(of.command, Command::Heartbeat { .. });
    let mut quiet: BTreeSet<Key> = keys(commands).collect();
    for other in commands.iter().filter(|of| !is_heartbeat(of)) {
        quiet.remove(&key(other));
    }
    if quiet.is_empty() {
        return Ok(BTreeMap::new());
    }
    let quiet: Vec<Key> = quiet.into_iter().collect();
    let read = rows::read(connection, &quiet, false).await?;
    let mut tasks: BTreeMap<Key, Locked> = read
        .into_iter()
        .filter_map(|read| Some((read.key, read.into_locked().ok()?)))
        .collect();
    for transition in commands {
        let changes_it = tasks.get(&key(transition)).is_some_and(|read| {
            let effects = read.task.clone().apply(&transition.command, read.at);
            effects.is_ok_and(|effects| effects.changed)
        });
        if changes_it {
            tasks.remove(&key(transition));
        }
    }
    Ok(tasks)
}

/// Locks tasks and takes them into the changes; why those that there are could not
/// be.
async fn lock(
    connection: &mut PgConnection,
    to_lock: &BTreeSet<Key>,
    changes: &mut Changes,
) -> Result<HashMap<Key, Absence>, sqlx::Error> {
    let mut absent = HashMap::new();
    if to_lock.is_empty() {
        return Ok(absent);
    }
    let mut missing = to_lock.clone();
    let wanted: Vec<Key> = to_lock.iter().copied().collect();
    for read in rows::read(connection, &wanted, true).await? {
        let key = read.key;
        missing.remove(&key);
        match read.into_locked() {
            Ok(locked) => changes.add(locked),
            Err(corrupt) => {
                absent.insert(key, Absence::Corrupt(corrupt.into()));
            }
        }
    }
    if !missing.is_empty() {
        let missing: Vec<Key> = missing.into_iter().collect();
        let existing = rows::existing(connection, &missing).await?;
        absent.extend(existing.into_iter().map(|key| (key, Absence::Locked)));
    }
    Ok(absent)
}

/// Applies a heartbeat to a task that it changes no more than the lease of.
fn heartbeat(transition: &Transition, read: &Locked, changes: &mut Changes) -> Applied {
    if !transition.target.scope.covers(&read.task) {
        return Err(ApplyError::NoTask);
    }
    let mut task = read.task.clone();
    let effects = task.apply(&transition.command, read.at)?;
    if let LeaseChange::For(lease) = effects.lease {
        changes.renew(&task, lease);
    }
    Ok(task)
}

fn apply_to_locked(
    transition: &Transition,
    absent: &HashMap<Key, Absence>,
    changes: &mut Changes,
) -> Outcome {
    let Transition { target, command } = transition;
    match absent.get(&key(transition)) {
        Some(Absence::Locked) => return None,
        Some(Absence::Corrupt(error)) => return Some(Err(error.clone().into())),
        None => {}
    }
    Some(
        match changes
            .task(target.id)
            .map(|task| target.scope.covers(task))
        {
            Some(true) => changes
                .apply(target.id, command)
                .map_or(Err(ApplyError::NoTask), |applied| Ok(applied?)),
            _ => Err(ApplyError::NoTask),
        },
    )
}
