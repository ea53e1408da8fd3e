//! `rules`: what becomes of which requests.

use axum::body::Body;
use axum::extract::State;
use http::{Request, StatusCode};
use serde::Serialize;
use serde_json::json;

use super::super::StandIn;
use super::super::answer::{self, Answer, Refused};
use super::super::rules::{Active, MOST_RULES, Rule};

/// A rule in force.
#[derive(Serialize)]
struct RuleForm<'a> {
    id: &'a str,
    tenant: &'a str,
    used: u64,
    #[serde(flatten)]
    rule: &'a Rule,
}

impl<'a> RuleForm<'a> {
    fn of(tenant: &'a str, active: &'a Active) -> Self {
        Self {
            id: &active.id,
            tenant,
            used: active.used,
            rule: &active.rule,
        }
    }
}

/// `GET rules`: in the order in which they are tried.
pub(super) async fn all(State(stand_in): State<StandIn>, request: Request<Body>) -> Answer {
    let (parts, _) = request.into_parts();
    let mut all = Vec::new();
    for tenant in stand_in.meant(&parts).await? {
        let rules = tenant.rules();
        let forms = rules.all().iter().map(|active| {
            serde_json::to_value(RuleForm::of(tenant.id().as_str(), active)).unwrap_or_default()
        });
        all.extend(forms);
    }
    Ok(answer::json(&json!({ "rules": all })))
}

/// `POST rules`: sets one, the newest.
pub(super) async fn add(State(stand_in): State<StandIn>, request: Request<Body>) -> Answer {
    let (parts, body) = request.into_parts();
    let rule: Rule = answer::body(Request::from_parts(parts.clone(), body)).await?;
    let mut set = None;
    for tenant in stand_in.meant(&parts).await? {
        let mut rules = tenant.rules();
        let Some(active) = rules.add(rule.clone()) else {
            let text = format!("a tenant has at most {MOST_RULES} rules");
            return Err(Refused::new(StatusCode::CONFLICT, text));
        };
        set.get_or_insert(answer::json(&RuleForm::of(tenant.id().as_str(), active)));
    }
    set.ok_or_else(|| Refused::not_found("tenant"))
}

/// `DELETE rules/{id}`.
pub(super) async fn remove(State(stand_in): State<StandIn>, request: Request<Body>) -> Answer {
    let (parts, _) = request.into_parts();
    let id = super::in_path(&parts, "");
    let mut removed = false;
    for tenant in stand_in.meant(&parts).await? {
        removed |= tenant.rules().remove(&id);
    }
    if removed {
        Ok(answer::json(&json!({})))
    } else {
        Err(Refused::not_found("rule"))
    }
}
