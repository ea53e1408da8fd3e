//! Texts to be pasted elsewhere: a request for a shell, and a matcher for a test.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::super::exchange::TASKS;
use super::super::journal::Entry;
use super::super::matcher::text;
use crate::auth::stand_in;
use crate::web::shell::quoted;

/// The most bytes of a body that are shown.
const MOST_BODY: usize = 16 * 1024;
/// Headers that curl sets by itself.
const OWN: [&str; 9] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "te",
    "transfer-encoding",
    "user-agent",
    "x-date",
];
/// The date of now, as KooDrive wants it.
const DATE: &str = "-H \"X-Date: $(date -u +%Y%m%dT%H%M%SZ)\"";

/// A first create, for this tenant.
pub(super) fn create(base: &str, tenant: &str) -> String {
    let mut curl = format!("curl -sS {}", quoted(&format!("{base}{TASKS}create")));
    line(&mut curl, DATE);
    line(&mut curl, "-H 'X-User-Id: 1505084218764547200'");
    line(&mut curl, "-H 'Content-Type: application/json'");
    bearer(&mut curl, tenant);
    line(&mut curl, r#"-d '{"srcUserId":"1397","dstUserId":"1507"}'"#);
    curl
}

/// The same request again, of today. Its credential is known to nobody: the tenant's
/// token is in its place.
pub(super) fn curl(entry: &Entry, base: &str) -> String {
    let query = entry.query.as_ref().map(|query| format!("?{query}"));
    let url = format!("{base}{}{}", entry.path, query.unwrap_or_default());
    let mut curl = format!("curl -sSg -X {} {}", entry.method, quoted(&url));
    let headers = entry.headers.iter();
    for (name, value) in headers.filter(|(name, _)| !OWN.contains(&&***name)) {
        line(
            &mut curl,
            &format!("-H {}", quoted(&format!("{name}: {value}"))),
        );
    }
    if entry.headers.contains_key("x-date") {
        line(&mut curl, DATE);
    }
    bearer(&mut curl, &entry.tenant);
    match entry.body.as_ref().map(text) {
        _ if entry.body_missing.is_some() => line(&mut curl, "--data-binary @body"),
        Some(body) if body.len() > MOST_BODY => line(&mut curl, "--data-binary @body"),
        Some(body) => line(&mut curl, &format!("--data-raw {}", quoted(&body))),
        None => {}
    }
    curl
}

/// What `journal/verify` takes to look for requests like this one.
pub(super) fn matcher(entry: &Entry) -> String {
    let mut wanted = Map::new();
    match entry.call {
        Some(call) => wanted.insert("call".to_owned(), call.into()),
        None => wanted.insert("path".to_owned(), (&*entry.path).into()),
    };
    match (entry.call, &entry.task_id) {
        (Some("create"), _) | (_, None) => {}
        (_, Some(id)) => _ = wanted.insert("taskId".to_owned(), (&**id).into()),
    }
    let body = entry.body.as_ref().and_then(Value::as_object);
    for (name, value) in body.into_iter().flatten() {
        if matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_)) {
            wanted.insert(format!("body.{name}"), value.clone());
        }
    }
    json!({ "match": wanted, "count": 1 }).to_string()
}

fn line(curl: &mut String, argument: &str) {
    // Writing to a text does not fail.
    let _ = write!(curl, " \\\n  {argument}");
}

/// The token of a tenant that is not there without being named.
fn bearer(curl: &mut String, tenant: &str) {
    if tenant != "*" && tenant != stand_in::tenant().as_str() {
        let token = format!("Authorization: Bearer tenant.{tenant}");
        line(curl, &format!("-H {}", quoted(&token)));
    }
}
