//! Claims that share a transaction: which tasks they get.

mod found;
mod level;
mod selection;

use std::time::Duration;

use sqlx::postgres::PgConnection;

use self::found::Kind;
use self::selection::Selection;
use super::changes::Changes;
use super::leases::Holdings;
use super::rows::Locked;
use super::supply::{Left, Source};
use crate::task::Task;
use crate::task::attempt::Claim;
use crate::task::claim::{ClaimError, ClaimRequest};
use crate::task::life_cycle::{Command, LeaseChange, Report};

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
            None => match renew_held(&held, claim, attempt_timeout, changes) {
                Some(again) => (!again.is_empty()).then_some(Ok(again)),
                None => selection.give(one, attempt_timeout, changes),
            },
        };
        got.push(gets);
    }
    let left = selection.left();
    Ok(Taken { got, left })
}

/// The tasks that are held under this claim's id, if any are: those whose attempts have
/// the time for a whole lease, for what is promised with them is promised anew.
fn renew_held(
    held: &[Locked],
    claim: &Claim,
    attempt_timeout: Duration,
    changes: &mut Changes,
) -> Option<Vec<Task>> {
    let is_same = |of: &&Locked| {
        of.task.attempt.as_ref().is_some_and(|attempt| {
            (&attempt.claim.claim_id, &attempt.claim.holder) == (&claim.claim_id, &claim.holder)
        })
    };
    let mut held = held.iter().filter(is_same).peekable();
    held.peek()?;
    let mut renewed = Vec::new();
    for Locked { task, at } in held {
        let heartbeat = Command::Heartbeat {
            report: Report {
                fence: task.fence,
                holder: claim.holder.clone(),
            },
            counts: None,
            timeout: attempt_timeout,
        };
        let mut task = task.clone();
        if let Ok(effects) = task.apply(&heartbeat, *at)
            && let LeaseChange::For(lease) = effects.lease
        {
            changes.renew(&task, lease);
            renewed.push(task);
        }
    }
    Some(renewed)
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
