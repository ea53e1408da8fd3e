//! `GET fragments`: the parts of a page as they change, of the same templates as
//! the page.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{Response, sse};
use futures_util::stream::{self, Stream};
use http::Request;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::super::StandIn;
use super::super::answer::{self, Refused};
use super::super::events::Event;
use super::content::REQUESTS;
use super::templates::{self, Changed};
use super::view::View;
use crate::task::{TaskId, TenantId};

/// The least time from one update to the next.
const PACE: Duration = Duration::from_millis(100);
/// The most tasks of an update; of more, the page is read anew.
const MOST_TASKS: usize = 200;

/// Server-sent updates of the page of this URL. `refresh` ends it: the page is to
/// be read anew.
pub(super) async fn fragments(
    State(stand_in): State<StandIn>,
    request: Request<Body>,
) -> Result<Response, Refused> {
    let (parts, _) = request.into_parts();
    let view = View::of(&parts)?;
    // Who is not there yet is from now on.
    stand_in.tenants_of(&view).await?;
    let events = stand_in.0.events.subscribe();
    let watched = Watched {
        base: super::base(&stand_in, &parts),
        stand_in,
        view,
        events,
        next: Instant::now(),
        is_over: false,
    };
    Ok(answer::stream(watched.updates()))
}

/// A page that is watched.
struct Watched {
    stand_in: StandIn,
    view: View,
    /// Where the stand-in is.
    base: String,
    events: Receiver<Arc<Event>>,
    /// When the next update may be sent.
    next: Instant,
    is_over: bool,
}

/// What has happened since the last update.
#[derive(Default)]
struct Changes {
    /// The last event.
    last: u64,
    tasks: BTreeSet<(TaskId, TenantId)>,
    requests: BTreeSet<(u64, TenantId)>,
    clock: bool,
    /// It cannot be told in parts.
    is_whole: bool,
}

impl Watched {
    fn updates(self) -> impl Stream<Item = sse::Event> {
        stream::unfold(self, async |mut watched| {
            if watched.is_over {
                return None;
            }
            let stop = watched.stand_in.0.stop.clone();
            let update = tokio::select! {
                update = watched.update() => update?,
                () = stop.cancelled() => return None,
            };
            Some((update, watched))
        })
    }

    /// The next update; `None` if there is none any more.
    async fn update(&mut self) -> Option<sse::Event> {
        let changes = self.changes().await?;
        self.next = Instant::now().checked_add(PACE).unwrap_or(self.next);
        if changes.is_whole {
            self.is_over = true;
            return Some(refresh());
        }
        let last = changes.last;
        match self.render(changes).await {
            Ok(html) => Some(sse::Event::default().id(last.to_string()).data(html)),
            Err(error) => {
                tracing::warn!(?error, "the page is not brought up to date");
                self.is_over = true;
                Some(refresh())
            }
        }
    }

    /// What happens until the next update may be sent, something at least.
    async fn changes(&mut self) -> Option<Changes> {
        let mut changes = Changes::default();
        loop {
            let event = if changes.last == 0 && !changes.is_whole {
                self.events.recv().await
            } else {
                match tokio::time::timeout_at(self.next, self.events.recv()).await {
                    Ok(event) => event,
                    Err(_) => return Some(changes),
                }
            };
            match event {
                Ok(event) => {
                    let tenant = self.view.tenant_id();
                    if tenant.is_none_or(|tenant| *tenant == event.tenant) {
                        changes.add(&event);
                    }
                }
                Err(RecvError::Lagged(_)) => changes.is_whole = true,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    async fn render(&self, changes: Changes) -> Result<String, Refused> {
        let Self { stand_in, view, .. } = self;
        let clock = stand_in.clock_of(view).await?;
        let mut tasks = Vec::with_capacity(changes.tasks.len());
        for (id, tenant_id) in changes.tasks.iter().rev() {
            tasks.extend(stand_in.0.store.find(tenant_id, *id).await?);
        }
        let recent = stand_in.0.journal.recent(view.tenant_id(), REQUESTS);
        let is_new = |seq, tenant: &str| {
            let mut new = changes.requests.iter();
            new.any(|(of, id)| *of == seq && id.as_str() == tenant)
        };
        let changed = Changed {
            base: self.base.clone(),
            clock,
            has_turned: changes.clock,
            counts: match tasks.is_empty() {
                true => None,
                false => stand_in.counts(view).await?,
            },
            tasks,
            open: stand_in.open(view).await?,
            requests: recent
                .into_iter()
                .filter(|entry| is_new(entry.seq, &entry.tenant))
                .collect(),
        };
        let html = templates::changed(view, &changed).into_string();
        // A field of an event ends with its line.
        Ok(html.replace('\r', "&#13;"))
    }
}

impl Changes {
    fn add(&mut self, event: &Event) {
        self.last = event.id;
        let tenant = || event.tenant.clone();
        match event.kind {
            "task" => {
                let id = event
                    .data
                    .get("id")
                    .and_then(|id| id.as_str()?.parse().ok());
                self.tasks.extend(id.map(|id| (id, tenant())));
            }
            "request" => {
                let seq = event.data.get("seq").and_then(serde_json::Value::as_u64);
                self.requests.extend(seq.map(|seq| (seq, tenant())));
            }
            "clock" => self.clock = true,
            _ => self.is_whole = true,
        }
        self.is_whole |= self.tasks.len() > MOST_TASKS;
        while self.requests.len() > MOST_TASKS {
            self.requests.pop_first();
        }
    }
}

fn refresh() -> sse::Event {
    sse::Event::default().event("refresh").data("anew")
}
