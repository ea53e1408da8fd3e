//! `reset` and `state`: everything taken back, exported and imported.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::State;
use http::Request;
use serde_json::json;

use super::super::StandIn;
use super::super::answer::{self, Answer, Whose};
use super::super::seed::StateForm;

/// `POST reset`: as at start.
pub(super) async fn reset(State(stand_in): State<StandIn>, request: Request<Body>) -> Answer {
    let (parts, _) = request.into_parts();
    let mut generation = 0;
    for tenant in stand_in.meant(&parts).await? {
        generation = stand_in.reset(&tenant).await?;
    }
    Ok(answer::json(
        &json!({"status": "ready", "generation": generation}),
    ))
}

/// `GET state`: the seed's own form; of all tenants, each under its name.
pub(super) async fn export(State(stand_in): State<StandIn>, request: Request<Body>) -> Answer {
    let (parts, _) = request.into_parts();
    if let Whose::One(id) = Whose::of(&parts)? {
        let tenant = stand_in.tenant(&id).await?;
        return Ok(answer::json(&stand_in.export(&tenant).await?));
    }
    let mut all = BTreeMap::new();
    for tenant in stand_in.meant(&parts).await? {
        let state = stand_in.export(&tenant).await?;
        all.insert(tenant.id().as_str().to_owned(), state);
    }
    Ok(answer::json(&json!({ "tenants": all })))
}

/// `PUT state`: this in place of everything.
pub(super) async fn import(State(stand_in): State<StandIn>, request: Request<Body>) -> Answer {
    let (parts, body) = request.into_parts();
    let tenants = stand_in.meant(&parts).await?;
    let state: StateForm = answer::body(Request::from_parts(parts, body)).await?;
    let mut generation = 0;
    for tenant in tenants {
        generation = stand_in.import(&tenant, &state).await?;
    }
    Ok(answer::json(
        &json!({"status": "ready", "generation": generation}),
    ))
}
