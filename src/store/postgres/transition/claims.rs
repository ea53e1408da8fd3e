//! Claims that share a transaction: which tasks they get.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, FromRow, Row as _};

use super::changes::Changes;
use super::leases::Holdings;
use super::rows::{Locked, NOW, Read};
use super::supply::{Left, Source};
use crate::store::row::{Code, TaskRow};
use crate::task::attempt::Claim;
use crate::task::claim::{ClaimError, ClaimRequest};
use crate::task::life_cycle::{Command, LeaseChange, Report};
use crate::task::{Task, TaskId, TaskStatus, TenantId};

/// The most sources that one statement claims from.
const SOURCES: usize = 64;
/// How often more is looked for, where some tenants have less than their share.
const SEARCHES: usize = 4;

/// What a claim gets: nothing yet, if `None`.
pub(super) type Got = Option<Result<Vec<Task>, ClaimError>>;

/// A claim and the most tasks that it may get now.
pub(super) struct Asked<'a> {
    pub(super) request: &'a ClaimRequest,
    pub(super) most: usize,
}

/// What became of claims.
#[derive(Default)]
pub(super) struct Taken {
    /// What each gets, in order.
    pub(super) got: Vec<Got>,
    /// What is left where they were taken from.
    pub(super) left: Vec<Visited>,
}

/// A source as it was found.
pub(super) struct Visited {
    pub(super) source: Source,
    pub(super) fresh: Option<Left>,
    pub(super) due: Option<Left>,
}

/// Where a row comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    /// It is held already, under the id of one of the claims.
    Held,
    Due,
    Fresh,
}

impl Kind {
    /// As the query has them.
    const ALL: [(i32, Self); 3] = [(0, Self::Held), (1, Self::Due), (2, Self::Fresh)];
}

struct Found {
    read: Read,
    kind: Kind,
    /// Of the source, from 1.
    position: i64,
    due_at: Option<i64>,
}

impl FromRow<'_, PgRow> for Found {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let kind: i32 = row.try_get("kind")?;
        let kind = Kind::ALL.into_iter().find(|(number, _)| *number == kind);
        Ok(Self {
            read: Read::from_row(row)?,
            kind: kind.map_or(Kind::Held, |(_, kind)| kind),
            position: row.try_get("position")?,
            due_at: row.try_get("due_at")?,
        })
    }
}

/// A task that can be given, locked.
struct Candidate {
    kind: Kind,
    /// Of its kind: when it is due, or its id.
    order: i64,
    visited: usize,
    locked: Locked,
}

/// Gives claims of one scope what they ask for, as far as the sources have it, in
/// the order in which they came; a claim that is repeated gets what it has.
pub(super) async fn take(
    connection: &mut PgConnection,
    asked: &[Asked<'_>],
    sources: Vec<Source>,
    holdings: &Holdings,
    attempt_timeout: Duration,
    changes: &mut Changes,
) -> Result<Taken, sqlx::Error> {
    let mut selection = Selection::new(sources, holdings);
    let ids: Vec<String> = asked
        .iter()
        .map(|asked| asked.request.claim.claim_id.to_string())
        .collect();
    let wanted: usize = asked.iter().map(|asked| asked.most).sum();
    let held = selection.search(connection, wanted, &ids, changes).await?;
    for _ in 1..SEARCHES {
        if selection.len() >= wanted || !selection.has_more() {
            break;
        }
        selection.search(connection, wanted, &[], changes).await?;
    }
    let mut got: Vec<Got> = Vec::with_capacity(asked.len());
    for (index, one) in asked.iter().enumerate() {
        let claim = &one.request.claim;
        let same = asked.iter().take(index).position(|other| {
            let other = &other.request.claim;
            (&other.claim_id, &other.holder) == (&claim.claim_id, &claim.holder)
        });
        let gets = match same.and_then(|same| got.get(same)) {
            Some(same) => same.clone(),
            None => {
                let again = renew_held(&held, claim, attempt_timeout, changes);
                if again.is_empty() {
                    selection.give(one, attempt_timeout, changes)
                } else {
                    Some(Ok(again))
                }
            }
        };
        got.push(gets);
    }
    let left = selection.left();
    Ok(Taken { got, left })
}

/// The tasks that are held under this claim's id. What is promised with them is
/// promised anew.
fn renew_held(
    held: &[Locked],
    claim: &Claim,
    attempt_timeout: Duration,
    changes: &mut Changes,
) -> Vec<Task> {
    let mut renewed = Vec::new();
    for Locked { task, at } in held {
        let is_same = task.attempt.as_ref().is_some_and(|attempt| {
            (&attempt.claim.claim_id, &attempt.claim.holder) == (&claim.claim_id, &claim.holder)
        });
        let heartbeat = Command::Heartbeat {
            report: Report {
                fence: task.fence,
                holder: claim.holder.clone(),
            },
            counts: None,
            timeout: attempt_timeout,
        };
        let mut task = task.clone();
        if is_same
            && let Ok(effects) = task.apply(&heartbeat, *at)
            && let LeaseChange::For(lease) = effects.lease
        {
            changes.renew(&task, lease);
            renewed.push(task);
        }
    }
    renewed
}

/// What was found, by tenant, and where more may be.
struct Selection<'a> {
    holdings: &'a Holdings,
    visited: Vec<Visited>,
    /// Candidates, the last first, and how many each tenant was given.
    tenants: HashMap<TenantId, (Vec<Candidate>, usize)>,
}

impl<'a> Selection<'a> {
    fn new(sources: Vec<Source>, holdings: &'a Holdings) -> Self {
        let visited = |source| Visited {
            source,
            fresh: None,
            due: None,
        };
        Self {
            holdings,
            visited: sources.into_iter().map(visited).collect(),
            tenants: HashMap::new(),
        }
    }

    fn len(&self) -> usize {
        self.tenants.values().map(|(found, _)| found.len()).sum()
    }

    fn has_more(&self) -> bool {
        self.visited.iter().any(|visited| visited.source.has_more())
    }

    /// How many the tenant would hold, were it given all that was found.
    fn holds(&self, tenant_id: &TenantId) -> usize {
        let found = self.tenants.get(tenant_id);
        let found = found.map_or(0, |(found, given)| found.len().saturating_add(*given));
        self.holdings.of_tenant(tenant_id).saturating_add(found)
    }

    /// Looks once more, for as many as are wanted in all; what is held under these
    /// claim ids already.
    async fn search(
        &mut self,
        connection: &mut PgConnection,
        wanted: usize,
        claim_ids: &[String],
        changes: &Changes,
    ) -> Result<Vec<Locked>, sqlx::Error> {
        let missing = wanted.saturating_sub(self.len());
        let (chosen, limit) = self.choose(missing);
        if chosen.is_empty() && claim_ids.is_empty() {
            return Ok(Vec::new());
        }
        let sources: Vec<&Source> = chosen
            .iter()
            .filter_map(|index| Some(&self.visited.get(*index)?.source))
            .collect();
        let found = select(connection, &sources, limit, claim_ids).await?;
        Ok(self.sort_in(found, &chosen, limit, changes))
    }

    /// The sources of those tenants who get something when this many tasks go, one
    /// after the other, to whoever holds the fewest; and the most that one gets.
    fn choose(&self, wanted: usize) -> (Vec<usize>, usize) {
        let mut holds = HashMap::new();
        for visited in self.visited.iter().filter(|of| of.source.has_more()) {
            let tenant_id = &visited.source.tenant_id;
            holds
                .entry(tenant_id)
                .or_insert_with(|| self.holds(tenant_id));
        }
        let level = level(holds.values().copied(), wanted);
        let gets = |visited: &Visited| {
            let holds = holds.get(&visited.source.tenant_id);
            holds.map_or(0, |holds| level.saturating_sub(*holds))
        };
        let chosen: Vec<usize> = (0..)
            .zip(&self.visited)
            .filter(|(_, visited)| visited.source.has_more() && gets(visited) > 0)
            .map(|(index, _)| index)
            .take(SOURCES)
            .collect();
        let limit = chosen
            .iter()
            .filter_map(|index| self.visited.get(*index))
            .map(gets)
            .max();
        (chosen, limit.unwrap_or(0))
    }

    /// Takes in what was found; what is held already.
    fn sort_in(
        &mut self,
        found: Vec<Found>,
        chosen: &[usize],
        limit: usize,
        changes: &Changes,
    ) -> Vec<Locked> {
        let mut held = Vec::new();
        let mut counts: HashMap<(usize, Kind), usize> = HashMap::new();
        let mut last: HashMap<(usize, Kind), i64> = HashMap::new();
        for Found {
            read,
            kind,
            position,
            due_at,
        } in found
        {
            let (key, id) = (read.key, read.key.id);
            let place = usize::try_from(position.saturating_sub(1)).ok();
            let place = place.and_then(|place| chosen.get(place).copied());
            let order = match kind {
                Kind::Due => due_at.unwrap_or(0),
                Kind::Held | Kind::Fresh => id,
            };
            if let (Some(index), Kind::Due | Kind::Fresh) = (place, kind) {
                let count = counts.entry((index, kind)).or_default();
                *count = count.saturating_add(1);
                let last = last.entry((index, kind)).or_insert(order);
                *last = order.max(*last);
                if let Some(visited) = self.visited.get_mut(index) {
                    let left = visited.left(kind).get_or_insert_default();
                    left.first = Some(left.first.map_or(order, |first| first.min(order)));
                }
            }
            let locked = match read.into_locked() {
                Ok(locked) => locked,
                Err(error) => {
                    tracing::error!(%error, id, "a task cannot be claimed");
                    continue;
                }
            };
            match place {
                _ if kind == Kind::Held => held.push(locked),
                // A command of this transaction has changed it.
                _ if changes.has(&key) => {}
                Some(visited) => {
                    let tenant_id = locked.task.tenant_id.clone();
                    let (candidates, _) = self.tenants.entry(tenant_id).or_default();
                    candidates.push(Candidate {
                        kind,
                        order,
                        visited,
                        locked,
                    });
                }
                None => {}
            }
        }
        for index in chosen {
            let Some(visited) = self.visited.get_mut(*index) else {
                continue;
            };
            for kind in [Kind::Due, Kind::Fresh] {
                if visited.after(kind) == i64::MAX {
                    continue;
                }
                let count = counts.get(&(*index, kind)).copied().unwrap_or(0);
                let last = last.get(&(*index, kind)).copied().unwrap_or(i64::MAX);
                let more = count >= limit;
                visited.left(kind).get_or_insert_default().more = more;
                visited.set_after(kind, if more { last } else { i64::MAX });
            }
        }
        for (candidates, _) in self.tenants.values_mut() {
            candidates.sort_by_key(|of| std::cmp::Reverse((of.kind, of.order)));
        }
        held
    }

    /// Gives a claim what it may get of what was found: each task is that of the
    /// tenant that holds the fewest, among equals of the one that waits longest.
    fn give(&mut self, asked: &Asked<'_>, attempt_timeout: Duration, changes: &mut Changes) -> Got {
        if asked.most == 0 {
            return Some(Err(ClaimError::TooManyLeases));
        }
        let command = Command::Claim {
            claim: asked.request.claim.clone(),
            timeout: attempt_timeout,
        };
        let mut tasks = Vec::new();
        while tasks.len() < asked.most {
            let holdings = self.holdings;
            let next = self
                .tenants
                .iter_mut()
                .filter_map(|(tenant_id, (found, given))| {
                    let holds = holdings.of_tenant(tenant_id).saturating_add(*given);
                    let order = (holds, found.last()?.waits_since());
                    Some((order, found, given))
                })
                .min_by_key(|(order, _, _)| *order);
            let Some((_, found, given)) = next else {
                break;
            };
            let Some(candidate) = found.pop() else {
                break;
            };
            let id = candidate.locked.task.id;
            changes.add(candidate.locked);
            if let Some(Ok(task)) = changes.apply(id, &command) {
                *given = given.saturating_add(1);
                tasks.push(task);
            }
        }
        (!tasks.is_empty()).then_some(Ok(tasks))
    }

    /// What is left of the sources, now that all is given.
    fn left(mut self) -> Vec<Visited> {
        for (kept, _) in std::mem::take(&mut self.tenants).into_values() {
            for candidate in kept {
                if let Some(visited) = self.visited.get_mut(candidate.visited) {
                    visited.left(candidate.kind).get_or_insert_default().more = true;
                }
            }
        }
        self.visited
    }
}

impl Candidate {
    /// Since when it waits, in milliseconds since the Unix epoch; of those of one
    /// millisecond the first id comes first.
    fn waits_since(&self) -> (i64, TaskId) {
        let id = self.locked.task.id;
        let since = match self.kind {
            Kind::Due => self.order,
            Kind::Held | Kind::Fresh => id.created_at().as_millisecond(),
        };
        (since, id)
    }
}

impl Visited {
    const fn left(&mut self, kind: Kind) -> &mut Option<Left> {
        match kind {
            Kind::Due => &mut self.due,
            Kind::Held | Kind::Fresh => &mut self.fresh,
        }
    }

    const fn after(&self, kind: Kind) -> i64 {
        match kind {
            Kind::Due => self.source.due_after,
            Kind::Held | Kind::Fresh => self.source.fresh_after,
        }
    }

    const fn set_after(&mut self, kind: Kind, after: i64) {
        match kind {
            Kind::Due => self.source.due_after = after,
            Kind::Held | Kind::Fresh => self.source.fresh_after = after,
        }
    }
}

/// Up to which number of leases everybody is raised when this many more go, one after
/// the other, to whoever has the fewest.
fn level(holds: impl Iterator<Item = usize> + Clone, wanted: usize) -> usize {
    let Some(fewest) = holds.clone().min() else {
        return 0;
    };
    let (mut low, mut high) = (fewest, fewest.saturating_add(wanted));
    while low < high {
        let middle = low.midpoint(high);
        let raised: usize = holds
            .clone()
            .map(|holds| middle.saturating_sub(holds))
            .fold(0, usize::saturating_add);
        if raised >= wanted {
            high = middle;
        } else {
            low = middle.saturating_add(1);
        }
    }
    high
}

/// Locks the first `limit` of each source's due retries and fresh tasks, but for
/// those that somebody else has locked; and reads what is held under these claim
/// ids. The limit is in the text, for the plan depends on it.
async fn select(
    connection: &mut PgConnection,
    sources: &[&Source],
    limit: usize,
    claim_ids: &[String],
) -> Result<Vec<Found>, sqlx::Error> {
    let query = format!(
        "WITH due AS MATERIALIZED (
             SELECT position, 1 AS kind, task.*
             FROM unnest($1::text[], $2::smallint[], $3::bigint[]) WITH ORDINALITY
                 AS source (tenant, of_type, after, position)
             CROSS JOIN LATERAL (
                 SELECT * FROM task
                 WHERE tenant_id = tenant AND task_type = of_type AND due_at > after
                     AND due_at <= (extract(epoch FROM statement_timestamp()) * 1000)::bigint
                 ORDER BY due_at, id LIMIT {limit} FOR UPDATE SKIP LOCKED
             ) AS task WHERE after < {none}
         ), fresh AS MATERIALIZED (
             SELECT position, 2 AS kind, task.*
             FROM unnest($1::text[], $2::smallint[], $4::bigint[]) WITH ORDINALITY
                 AS source (tenant, of_type, after, position)
             CROSS JOIN LATERAL (
                 SELECT * FROM task
                 WHERE tenant_id = tenant AND task_type = of_type AND status = {new}
                     AND id > after
                 ORDER BY id LIMIT {limit} FOR UPDATE SKIP LOCKED
             ) AS task WHERE after < {none}
         )
         SELECT {NOW}, kind, position, node, {columns} FROM (
             SELECT * FROM due UNION ALL SELECT * FROM fresh UNION ALL
             SELECT 0 AS position, 0 AS kind, task.* FROM lease
             JOIN task ON task.node = lease.node AND task.id = lease.task_id
             WHERE lease.claim_id = ANY($5)
         ) AS found",
        none = i64::MAX,
        new = TaskStatus::New.code(),
        columns = TaskRow::COLUMNS,
    );
    sqlx::query_as(AssertSqlSafe(query))
        .bind(
            sources
                .iter()
                .map(|of| of.tenant_id.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            sources
                .iter()
                .map(|of| of.task_type.code())
                .collect::<Vec<_>>(),
        )
        .bind(sources.iter().map(|of| of.due_after).collect::<Vec<_>>())
        .bind(sources.iter().map(|of| of.fresh_after).collect::<Vec<_>>())
        .bind(claim_ids)
        .fetch_all(connection)
        .await
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_level_is_that_of_giving_one_after_the_other(
            holds in proptest::collection::vec(0_usize..20, 1..8), wanted in 0_usize..60
        ) {
            let mut given = holds.clone();
            for _ in 0..wanted {
                let fewest = given.iter_mut().min().unwrap();
                *fewest = fewest.saturating_add(1);
            }
            let level = level(holds.iter().copied(), wanted);
            for (before, after) in holds.iter().zip(&given) {
                prop_assert!(*after <= level.max(*before));
            }
            let touched = holds.iter().zip(&given).filter(|(before, after)| before < after);
            if let Some(highest) = touched.map(|(_, after)| *after).max() {
                prop_assert_eq!(highest, level);
            }
        }
    }
}
