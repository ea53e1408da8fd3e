//! Which tasks are looked for, and who is given which of those that were found: the next
//! is always that of the tenant that holds the fewest.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::postgres::PgConnection;

use super::found::{Found, Kind, select};
use super::level::level;
use super::{Asked, Got, Visited};
use crate::store::postgres::transition::changes::Changes;
use crate::store::postgres::transition::leases::Holdings;
use crate::store::postgres::transition::rows::Locked;
use crate::store::postgres::transition::supply::Source;
use crate::task::claim::ClaimError;
use crate::task::life_cycle::Command;
use crate::task::{TaskId, TenantId};

/// The most sources that one statement claims from.
const SOURCES: usize = 64;

/// A task that can be given, locked.
struct Candidate {
    kind: Kind,
    /// Of its kind: when it is due, or its id.
    order: i64,
    visited: usize,
    locked: Locked,
}

/// What was found, by tenant, and where more may be.
pub(super) struct Selection<'a> {
    holdings: &'a Holdings,
    visited: Vec<Visited>,
    /// Candidates, the last first, and how many each tenant was given.
    tenants: HashMap<TenantId, (Vec<Candidate>, usize)>,
}

impl<'a> Selection<'a> {
    pub(super) fn new(sources: Vec<Source>, holdings: &'a Holdings) -> Self {
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

    pub(super) fn len(&self) -> usize {
        self.tenants.values().map(|(found, _)| found.len()).sum()
    }

    pub(super) fn has_more(&self) -> bool {
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
    pub(super) async fn search(
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
    pub(super) fn give(
        &mut self,
        asked: &Asked<'_>,
        attempt_timeout: Duration,
        changes: &mut Changes,
    ) -> Got {
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
    pub(super) fn left(mut self) -> Vec<Visited> {
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
