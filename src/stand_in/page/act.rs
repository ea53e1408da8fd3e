//! The page's buttons: forms, for browsers without JavaScript too.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{Request, StatusCode};
use jiff::SignedDuration;
use url::form_urlencoded;

use super::super::StandIn;
use super::super::answer::Refused;
use super::super::clock::TenantClock;
use super::super::leading::Goal;
use super::super::seed::Status;
use super::view::View;

/// The most bytes of a form.
const MOST_BYTES: usize = 16 * 1024;
/// How far a clock goes with one press.
const STEP: SignedDuration = SignedDuration::from_mins(1);

/// What a button does.
enum Deed {
    Lead(Goal),
    Freeze,
    Run,
    Advance,
    ToEnd,
    Reset,
}

/// `POST /kootask/dev/`: does it, and leads back to the page that asked.
pub(super) async fn act(State(stand_in): State<StandIn>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    match perform(&stand_in, &parts, body).await {
        Ok(back) => Redirect::to(&back).into_response(),
        Err(refused) => super::page(&stand_in, &parts, Some(refused)).await,
    }
}

async fn perform(stand_in: &StandIn, parts: &Parts, body: Body) -> Result<String, Refused> {
    let view = View::of(parts)?;
    let deed = deed(parts, body).await?;
    let wall = stand_in.0.wall.now();
    let is_about_task = matches!(deed, Deed::Lead(_));
    if let Deed::Lead(goal) = deed {
        lead(stand_in, &view, goal).await?;
    } else {
        for tenant in stand_in.tenants_of(&view).await? {
            let set = |frozen| {
                move |clock: TenantClock, _: &_| TenantClock::set(clock.now(wall), frozen, wall)
            };
            match deed {
                Deed::Freeze => stand_in.turn(&tenant, set(true)).await?,
                Deed::Run => stand_in.turn(&tenant, set(false)).await?,
                Deed::Advance => {
                    let turned = stand_in.turn(&tenant, |clock, _| clock.advanced(STEP));
                    turned.await?;
                }
                Deed::ToEnd => stand_in.turn_until_idle(&tenant).await?,
                Deed::Reset => _ = stand_in.reset(&tenant).await?,
                Deed::Lead(_) => {}
            }
        }
    }
    let place = if is_about_task { "#task" } else { "" };
    Ok(format!("./{}{place}", view.link()))
}

/// Leads the open task on.
async fn lead(stand_in: &StandIn, view: &View, goal: Goal) -> Result<(), Refused> {
    let id = view.task.ok_or_else(|| Refused::bad("no task is open"))?;
    for tenant in stand_in.tenants_of(view).await? {
        if stand_in.lead(&tenant, id, goal).await?.is_some() {
            return Ok(());
        }
    }
    Err(Refused::not_found("task"))
}

/// What a form asks for.
async fn deed(parts: &Parts, body: Body) -> Result<Deed, Refused> {
    let declared = parts.headers.get(CONTENT_TYPE);
    let essence = declared.and_then(|value| value.to_str().ok()?.split(';').next());
    if essence.map(str::trim) != Some("application/x-www-form-urlencoded") {
        let text = "the body must be a form, declared as application/x-www-form-urlencoded";
        return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    let Ok(bytes) = axum::body::to_bytes(body, MOST_BYTES).await else {
        let text = "the form cannot be read, or has more than 16 KiB";
        return Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, text));
    };
    let field = |name: &str| {
        let mut pairs = form_urlencoded::parse(&bytes);
        let found = pairs.find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned())
    };
    let goal = |status| Deed::Lead(Goal { status, code: None });
    Ok(match field("do").as_deref() {
        Some("start") => goal(Status::Executing),
        Some("complete") => goal(Status::Success),
        Some("fail") => {
            let code = field("resultCode").unwrap_or_default();
            let code = code.trim().parse();
            Deed::Lead(Goal {
                status: Status::Failed,
                code: Some(code.map_err(|error| Refused::bad(format!("resultCode: {error}")))?),
            })
        }
        Some("freeze") => Deed::Freeze,
        Some("run") => Deed::Run,
        Some("advance") => Deed::Advance,
        Some("to-end") => Deed::ToEnd,
        Some("reset") => Deed::Reset,
        _ => return Err(Refused::bad("there is no such button")),
    })
}
