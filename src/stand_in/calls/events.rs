//! `GET events`: what happens, as it happens.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{Response, sse};
use futures_util::stream::{self, Stream, StreamExt};
use http::Request;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::super::StandIn;
use super::super::answer::{self, Refused, Whose};
use super::super::events::Event;
use crate::task::TenantId;

/// Server-sent events of a tenant. With `Last-Event-ID` those that were missed come
/// first or, where they are not known any more, `refresh`.
pub(super) async fn events(
    State(stand_in): State<StandIn>,
    request: Request<Body>,
) -> Result<Response, Refused> {
    let (parts, _) = request.into_parts();
    let tenant = match Whose::of(&parts)? {
        Whose::One(id) => Some(stand_in.tenant(&id).await?.id().clone()),
        Whose::All => None,
    };
    let last = parts.headers.get("Last-Event-ID");
    let last = last.map(|id| id.to_str().ok().and_then(|id| id.parse().ok()));
    let events = &stand_in.0.events;
    let (missed, to_come) = match last {
        None => (Some(Vec::new()), events.subscribe()),
        // One that is no number is of another stand-in.
        Some(id) => events.since(id.unwrap_or(u64::MAX)),
    };
    let first = match missed {
        Some(missed) => missed
            .iter()
            .filter_map(|event| shown(event, tenant.as_ref()))
            .collect(),
        None => vec![refresh()],
    };
    let stream = stream::iter(first).chain(following(to_come, tenant, stand_in.0.stop.clone()));
    Ok(answer::stream(stream))
}

/// The events to come, until the tenant's reset has been told, or `stop`.
fn following(
    to_come: Receiver<Arc<Event>>,
    tenant: Option<TenantId>,
    stop: CancellationToken,
) -> impl Stream<Item = sse::Event> {
    let first = (to_come, tenant, stop, false);
    stream::unfold(first, async |(mut to_come, tenant, stop, is_over)| {
        if is_over {
            return None;
        }
        loop {
            let (event, is_over) = tokio::select! {
                biased;
                next = to_come.recv() => match next {
                    Ok(event) => {
                        let is_over = event.kind == "reset" && tenant.is_some();
                        (shown(&event, tenant.as_ref()), is_over)
                    }
                    Err(RecvError::Lagged(_)) => (Some(refresh()), false),
                    Err(RecvError::Closed) => return None,
                },
                () = stop.cancelled() => return None,
            };
            if let Some(event) = event {
                return Some((event, (to_come, tenant, stop, is_over)));
            }
        }
    })
}

/// The event, if it is one of this tenant's.
fn shown(event: &Event, tenant: Option<&TenantId>) -> Option<sse::Event> {
    tenant
        .is_none_or(|tenant| *tenant == event.tenant)
        .then(|| {
            sse::Event::default()
                .id(event.id.to_string())
                .event(event.kind)
                .data(event.data.to_string())
        })
}

/// Something was missed: all is to be read anew.
fn refresh() -> sse::Event {
    sse::Event::default().event("refresh").data("{}")
}
