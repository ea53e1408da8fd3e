//! The layer that files requests in the journal.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::middleware::Next;
use axum::response::Response;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use http::{HeaderMap, Method, Request, StatusCode};
use serde_json::Value;
use tokio::time::Instant;

use super::StandIn;
use super::exchange::Exchange;
use super::journal::{Credential, Entry, Refusal};
use crate::auth::{Authenticator, stand_in};
use crate::task::{Identifier, TenantId};
use crate::web::context::RequestContext;
use crate::web::error::ApiError;

/// Where no console calls: the stand-in's own calls, and those of workers.
const NOT_FILED: [&str; 2] = ["/kootask/dev/", "/kootask/v1/worker/"];

/// The stand-in, and who can explain its refusals.
#[derive(Clone)]
pub struct Recorder {
    /// The stand-in.
    pub stand_in: StandIn,
    /// Checks the credentials.
    pub authenticator: Arc<Authenticator>,
}

/// Files a request of a client and its answer.
pub async fn record(
    State(recorder): State<Recorder>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let path = request.uri().path();
    if NOT_FILED.iter().any(|prefix| path.starts_with(prefix)) {
        return next.run(request).await;
    }
    let started = Instant::now();
    let (mut parts, body) = request.into_parts();
    let Ok(context) = RequestContext::of(&parts.extensions) else {
        return next.run(Request::from_parts(parts, body)).await;
    };
    let resets = recorder.stand_in.resets();
    let exchange = Arc::new(Exchange::new(parts.clone(), resets));
    parts.extensions.insert(Arc::clone(&exchange));
    let body = exchange.recorded(body);
    let response = next.run(Request::from_parts(parts, body)).await;
    let answered = Answered::of(&response);
    let duration_ms = started.elapsed().as_micros() as f64 / 1e3;
    recorder
        .file(&exchange, &context, &answered, duration_ms)
        .await;
    response
}

/// How a request was answered.
struct Answered {
    status: StatusCode,
    error: Option<ApiError>,
    is_repeated: bool,
}

impl Answered {
    fn of(response: &Response) -> Self {
        Self {
            status: response.status(),
            error: response.extensions().get::<ApiError>().cloned(),
            is_repeated: response.headers().contains_key("Idempotency-Replayed"),
        }
    }
}

impl Recorder {
    async fn file(
        &self,
        exchange: &Exchange,
        context: &RequestContext,
        answered: &Answered,
        duration_ms: f64,
    ) {
        let id = tenant_of(exchange, context);
        let Ok(tenant) = self.stand_in.tenant(&id).await else {
            return;
        };
        // What came before a reset is in no journal after it.
        if tenant.epoch().mark > exchange.resets {
            return;
        }
        let error = answered.error.as_ref();
        let fault = exchange.fault.get();
        let body = exchange.body();
        let entry = Entry {
            seq: 0,
            at: self.stand_in.0.now(&tenant).to_string(),
            tenant: id.as_str().to_owned(),
            call: exchange.call(),
            method: exchange.head.method.as_str().to_owned(),
            path: exchange.head.uri.path().to_owned(),
            query: exchange.head.uri.query().map(str::to_owned),
            headers: shown(&exchange.head.headers),
            body: (!body.bytes.is_empty()).then(|| {
                let text = || String::from_utf8_lossy(&body.bytes).into_owned();
                serde_json::from_slice(&body.bytes).unwrap_or_else(|_| Value::from(text()))
            }),
            body_missing: body.missing(),
            credential: credential(&exchange.head.headers),
            user: context.user_id().map(str::to_owned),
            trace_id: context.trace_id().as_str().to_owned(),
            status: answered.status.as_u16(),
            code: error.map_or(0, ApiError::code),
            task_id: context.task_id().map(str::to_owned),
            outcome: outcome(exchange, answered),
            rule: fault
                .map(|fault| fault.rule.clone())
                .or_else(|| exchange.rule.get().cloned()),
            duration_ms,
            refused: error.map(|error| self.refusal(exchange, error, &body.bytes)),
        };
        self.stand_in.note(&tenant, entry);
    }

    fn refusal(&self, exchange: &Exchange, error: &ApiError, body: &[u8]) -> Refusal {
        let explanation = matches!(error, ApiError::Unauthenticated(_))
            .then(|| self.authenticator.explain(&exchange.head, body))
            .flatten();
        let (canonical, string, hints) = explanation.map_or((None, None, Vec::new()), |told| {
            (
                Some(told.canonical_request),
                Some(told.string_to_sign),
                told.hints,
            )
        });
        Refusal {
            reason: error.to_string(),
            canonical_request: canonical,
            string_to_sign: string,
            hints,
        }
    }
}

/// The tenant that a request is filed under: its credential's or, if that was
/// refused, the one that it names.
fn tenant_of(exchange: &Exchange, context: &RequestContext) -> TenantId {
    let admitted = context.tenant_id();
    let admitted = admitted.and_then(|id| id.parse::<Identifier>().ok());
    if let Some(id) = admitted {
        return id.into();
    }
    let headers = &exchange.head.headers;
    let app = credential(headers).app;
    let of_app = app.and_then(|app| stand_in::tenant_of_app(&app));
    let of_token = || {
        let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (_, token) = text.trim().rsplit_once([' ', '+']).unwrap_or(("", text));
        stand_in::tenant_of_token(token)
    };
    of_app.or_else(of_token).unwrap_or_else(stand_in::tenant)
}

fn outcome(exchange: &Exchange, answered: &Answered) -> &'static str {
    let is_fault = exchange.fault.get().is_some_and(|fault| {
        fault.status.is_some() || fault.drop.is_some() || fault.hang || fault.truncate.is_some()
    });
    if is_fault {
        "faulted"
    } else if !answered.status.is_success() {
        "refused"
    } else if exchange.head.method == Method::GET {
        "read"
    } else if answered.is_repeated {
        "repeated"
    } else {
        "created"
    }
}

/// The headers, but for those that hold credentials.
fn shown(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut shown: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let is_secret = [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE].contains(name)
            || ["token", "secret", "api-key"]
                .iter()
                .any(|word| name.as_str().contains(word));
        if is_secret {
            continue;
        }
        let value = String::from_utf8_lossy(value.as_bytes());
        shown
            .entry(name.as_str().to_owned())
            .and_modify(|known| {
                known.push_str(", ");
                known.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    shown
}

/// What kind of credential the headers hold.
fn credential(headers: &HeaderMap) -> Credential {
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Credential {
            kind: "none",
            app: None,
        };
    };
    let text = value.to_str().unwrap_or_default().trim();
    let scheme = crate::web::envelope::SIGNATURE_SCHEME;
    let Some(parameters) = text
        .split_at_checked(scheme.len())
        .filter(|(head, _)| head.eq_ignore_ascii_case(scheme))
        .map(|(_, rest)| rest)
    else {
        return Credential {
            kind: "bearer",
            app: None,
        };
    };
    let app = parameters
        .split(',')
        .find_map(|parameter| parameter.trim().strip_prefix("AppId="));
    let app = app.and_then(|app| app.parse::<Identifier>().ok());
    Credential {
        kind: "signature",
        app: app.map(|app| app.to_string()),
    }
}
