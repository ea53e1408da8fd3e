//! `clock`: a tenant's time.

use axum::body::Body;
use axum::extract::State;
use http::Request;
use http::request::Parts;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::super::StandIn;
use super::super::answer::{self, Answer, Refused};
use super::super::clock::TenantClock;
use super::super::text::Text;

/// What a clock shows.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockForm {
    /// The wall clock's time if it is absent.
    #[serde(default)]
    now: Option<Text<Timestamp>>,
    #[serde(default)]
    frozen: bool,
}

/// How far it is to go.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AdvanceForm {
    by: Option<Text<SignedDuration>>,
    until: Option<Until>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Until {
    /// Nothing goes on by time any more.
    Idle,
}

/// `GET clock`.
pub(super) async fn show(State(stand_in): State<StandIn>, request: Request<Body>) -> Answer {
    let (parts, _) = request.into_parts();
    shown(&stand_in, &parts).await
}

async fn shown(stand_in: &StandIn, parts: &Parts) -> Answer {
    let tenant = match &*stand_in.meant(parts).await? {
        [tenant, ..] => tenant.clone(),
        [] => return Err(Refused::not_found("tenant")),
    };
    let clock = *tenant.clock();
    Ok(answer::json(&ClockForm {
        now: Some(Text(clock.now(stand_in.0.wall.now()))),
        frozen: clock.is_frozen(),
    }))
}

/// `PUT clock`.
pub(super) async fn set(State(stand_in): State<StandIn>, request: Request<Body>) -> Answer {
    let (parts, body) = request.into_parts();
    let form: ClockForm = answer::body(Request::from_parts(parts.clone(), body)).await?;
    let wall = stand_in.0.wall.now();
    for tenant in stand_in.meant(&parts).await? {
        stand_in
            .turn(&tenant, |clock, _| {
                let now = form.now.map_or_else(|| clock.now(wall), |Text(now)| now);
                TenantClock::set(now, form.frozen, wall)
            })
            .await?;
    }
    shown(&stand_in, &parts).await
}

/// `POST clock/advance`.
pub(super) async fn advance(State(stand_in): State<StandIn>, request: Request<Body>) -> Answer {
    let (parts, body) = request.into_parts();
    let form: AdvanceForm = answer::body(Request::from_parts(parts.clone(), body)).await?;
    for tenant in stand_in.meant(&parts).await? {
        match (form.by, &form.until) {
            (Some(Text(by)), None) if !by.is_negative() => {
                let turn = stand_in.turn(&tenant, |clock, _| clock.advanced(by));
                turn.await?;
            }
            (None, Some(Until::Idle)) => stand_in.turn_until_idle(&tenant).await?,
            _ => {
                let text = "give by, which is not negative, or \"until\": \"idle\"";
                return Err(Refused::bad(text));
            }
        }
    }
    shown(&stand_in, &parts).await
}
