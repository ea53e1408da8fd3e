//! The stand-in's own calls, below `/kootask/dev/`.
//!
//! Contract: `stand-in.md`, "Calls". They are none of KooDrive's, so the document
//! of the calls does not hold them.

mod clock;
mod events;
mod journal;
mod rules;
mod state;
mod tasks;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
use http::Request;
use http::request::Parts;
use serde_json::json;

use super::StandIn;
use super::answer::{self, Answer, Refused, Whose};
use super::guard::guard;
use super::page;
use super::tenant::Tenant;
use crate::web::error::ApiError;

impl StandIn {
    /// The routes of the stand-in's own calls.
    pub fn routes(&self) -> Router {
        let calls = Router::new()
            .route("/kootask/dev/health", get(health))
            .route("/kootask/dev/reset", post(state::reset))
            .route("/kootask/dev/state", get(state::export).put(state::import))
            .route("/kootask/dev/tasks", get(tasks::list).post(tasks::add))
            .route("/kootask/dev/tasks/{id}", get(tasks::one))
            .route("/kootask/dev/tasks/{id}/step", post(tasks::step))
            .route("/kootask/dev/rules", get(rules::all).post(rules::add))
            .route("/kootask/dev/rules/{id}", delete(rules::remove))
            .route("/kootask/dev/journal", get(journal::all))
            .route("/kootask/dev/journal/verify", post(journal::verify))
            .route("/kootask/dev/journal/{seq}", get(journal::one))
            .route("/kootask/dev/events", get(events::events))
            .route("/kootask/dev/clock", get(clock::show).put(clock::set))
            .route("/kootask/dev/clock/advance", post(clock::advance))
            .merge(page::routes());
        calls
            .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
            .route_layer(from_fn_with_state(self.clone(), guard))
            .with_state(self.clone())
    }

    /// The tenants that a call is about.
    async fn meant(&self, parts: &Parts) -> Result<Vec<Arc<Tenant>>, Refused> {
        Ok(match Whose::of(parts)? {
            Whose::One(id) => vec![self.tenant(&id).await?],
            Whose::All => self.0.tenants.all(),
        })
    }
}

/// Ready: it is listened only once the seed is there.
async fn health(State(stand_in): State<StandIn>, request: Request<Body>) -> Answer {
    let (parts, _) = request.into_parts();
    let generation = match Whose::of(&parts)? {
        Whose::One(id) => stand_in.tenant(&id).await?.epoch().number,
        Whose::All => {
            let all = stand_in.0.tenants.all();
            all.iter().map(|tenant| tenant.epoch().number).sum()
        }
    };
    Ok(answer::json(
        &json!({"status": "ready", "generation": generation}),
    ))
}

/// The last part of a path, before `after`.
fn in_path(parts: &Parts, after: &str) -> String {
    let path = parts.uri.path();
    let path = path.strip_suffix(after).unwrap_or(path);
    path.rsplit('/').next().unwrap_or_default().to_owned()
}
