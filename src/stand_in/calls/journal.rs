//! `journal`: the requests of clients, and whether those came that should have.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use http::{Request, StatusCode};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::StandIn;
use super::super::answer::{self, Answer, Refused, Whose};
use super::super::journal::{Entry, Kept};
use super::super::matcher::{Difference, Matcher};
use super::super::text::Text;
use crate::task::TenantId;
use crate::web::context::Context;

/// The longest wait for requests.
const LONGEST: SignedDuration = SignedDuration::from_secs(60);
/// The most entries that are told to be nearly as wanted.
const NEAREST: usize = 3;

impl StandIn {
    fn kept(&self, parts: &http::request::Parts) -> Result<Kept, Refused> {
        Ok(self.0.journal.kept(tenant(parts)?.as_ref()))
    }
}

/// The tenant that is meant; all if `None`.
fn tenant(parts: &http::request::Parts) -> Result<Option<TenantId>, Refused> {
    Ok(match Whose::of(parts)? {
        Whose::One(id) => Some(id),
        Whose::All => None,
    })
}

/// `GET journal`: oldest first; and how many are not there any more.
pub(super) async fn all(State(stand_in): State<StandIn>, request: Request<Body>) -> Answer {
    let (parts, _) = request.into_parts();
    let kept = stand_in.kept(&parts)?;
    let entries: Vec<&Entry> = kept.entries.iter().map(|entry| &**entry).collect();
    Ok(answer::json(
        &json!({"entries": entries, "dropped": kept.dropped}),
    ))
}

/// `GET journal/{seq}`.
pub(super) async fn one(State(stand_in): State<StandIn>, request: Request<Body>) -> Answer {
    let (parts, _) = request.into_parts();
    let seq: u64 = super::in_path(&parts, "")
        .parse()
        .map_err(|_| Refused::bad("seq must be a number"))?;
    let kept = stand_in.kept(&parts)?;
    let entry = kept.entries.iter().find(|entry| entry.seq == seq);
    match entry {
        Some(entry) => Ok(answer::json(&**entry)),
        None if kept.entries.first().is_some_and(|first| seq < first.seq) && seq > 0 => {
            let text = "the entry was dropped for want of room";
            Err(Refused::new(StatusCode::GONE, text))
        }
        None => Err(Refused::not_found("entry")),
    }
}

/// What should have come.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct VerifyForm {
    #[serde(rename = "match")]
    matcher: Matcher,
    count: Option<u64>,
    at_least: Option<u64>,
    at_most: Option<u64>,
    within: Option<Text<SignedDuration>>,
    settle: Option<Text<SignedDuration>>,
}

/// How many requests there should be.
#[derive(Clone, Copy)]
struct Wanted {
    least: u64,
    most: Option<u64>,
}

impl VerifyForm {
    fn wanted(&self) -> Result<Wanted, Refused> {
        Ok(match (self.count, self.at_least, self.at_most) {
            (Some(count), None, None) => Wanted {
                least: count,
                most: Some(count),
            },
            (None, Some(least), None) => Wanted { least, most: None },
            (None, None, Some(most)) => Wanted {
                least: 0,
                most: Some(most),
            },
            _ => return Err(Refused::bad("give one of count, atLeast and atMost")),
        })
    }
}

fn duration(form: Option<Text<SignedDuration>>, name: &str) -> Result<Duration, Refused> {
    let time = form.map_or(SignedDuration::ZERO, |Text(time)| time);
    if !(SignedDuration::ZERO..=LONGEST).contains(&time) {
        return Err(Refused::bad(format!("{name} must be from 0s to 60s")));
    }
    Ok(Duration::try_from(time).unwrap_or_default())
}

/// `POST journal/verify`.
pub(super) async fn verify(
    State(stand_in): State<StandIn>,
    Context(context): Context,
    request: Request<Body>,
) -> Answer {
    let (parts, body) = request.into_parts();
    let meant = tenant(&parts)?;
    let form: VerifyForm = answer::body(Request::from_parts(parts, body)).await?;
    let wanted = form.wanted()?;
    let (within, settle) = (
        duration(form.within, "within")?,
        duration(form.settle, "settle")?,
    );
    context.allow(within.saturating_add(settle));
    let journal = &stand_in.0.journal;
    let come = async {
        let mut changes = journal.changes();
        while count(&form.matcher, &journal.kept(meant.as_ref())) < wanted.least {
            // Somebody always can tell of changes: the journal itself.
            let _ = changes.changed().await;
        }
    };
    let waits = async {
        let _ = tokio::time::timeout(within, come).await;
        if wanted.most.is_some() && !settle.is_zero() {
            tokio::time::sleep(settle).await;
        }
    };
    stand_in.0.stop.run_until_cancelled(waits).await;
    let kept = journal.kept(meant.as_ref());
    judge(&form.matcher, wanted, &kept)
}

/// How many entries are meant.
fn count(matcher: &Matcher, kept: &Kept) -> u64 {
    let meant = kept.entries.iter();
    meant.filter(|entry| matcher.matches(&***entry)).count() as u64
}

/// An entry that is nearly as wanted.
#[derive(Serialize)]
struct Near {
    seq: u64,
    differs: Vec<Difference>,
}

fn judge(matcher: &Matcher, wanted: Wanted, kept: &Kept) -> Answer {
    let count = count(matcher, kept);
    let is_too_many = wanted.most.is_some_and(|most| count > most);
    let is_sure = kept.dropped == 0
        // More can only have been more.
        || is_too_many
        || wanted.most.is_none() && count >= wanted.least;
    if !is_sure {
        let text = format!(
            "{} entries were dropped for want of room, so the count may be short; reset before \
             each test, or raise dev.journal",
            kept.dropped
        );
        return Err(Refused::new(StatusCode::GONE, text));
    }
    if count >= wanted.least && !is_too_many {
        return Ok(answer::json(&json!({"ok": true, "count": count})));
    }
    let near = nearest(matcher, &kept.entries);
    let text = text(wanted, count, &near, kept.entries.len());
    let body = json!({"ok": false, "count": count, "nearest": near, "text": text});
    let mut response = answer::json(&body);
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(response)
}

/// The entries that differ in the fewest fields, the newest first.
fn nearest(matcher: &Matcher, entries: &[Arc<Entry>]) -> Vec<Near> {
    let mut near: Vec<Near> = entries
        .iter()
        .rev()
        .map(|entry| Near {
            seq: entry.seq,
            differs: matcher.differences(&**entry),
        })
        .filter(|near| !near.differs.is_empty())
        .collect();
    near.sort_by_key(|near| near.differs.len());
    near.truncate(NEAREST);
    near
}

/// The verdict, to be printed.
fn text(wanted: Wanted, count: u64, near: &[Near], all: usize) -> String {
    let (bound, number) = match wanted {
        Wanted { least, most: None } => ("at least ", least),
        Wanted {
            least,
            most: Some(most),
        } if least < most => ("at most ", most),
        Wanted { least, .. } => ("", least),
    };
    let noun = if number == 1 { "request" } else { "requests" };
    let mut text = format!("wanted {bound}{number} such {noun}, got {count} of {all}");
    for Near { seq, differs } in near {
        text.push_str(&format!("\n  request {seq} differs:"));
        for Difference { field, wanted, got } in differs {
            let got = got.as_deref().unwrap_or("(absent)");
            text.push_str(&format!("\n    {field}: wanted {wanted}, got {got}"));
        }
    }
    text
}
