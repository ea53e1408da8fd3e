//! The request at hand: what the journal and the rules know of it, and what is
//! decided of it far from where it is read.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use http::HeaderMap;
use http::request::Parts;
use http_body::{Frame, SizeHint};
use serde_json::Value;

use super::matcher::{Fields, text};
use super::outcome::Outcome;
use super::rules::Fault;
use super::tenant::{Tenant, locked};
use crate::task::TaskParameters;
use crate::web::query;

/// The most bytes of a body that are kept.
const MOST_BODY: usize = 64 * 1024;
/// Where KooDrive's task calls are.
pub(super) const TASKS: &str = "/koodrive/ose/v1/task/";
/// Where a tenant's further calls to tasks are.
const TENANTS_TASKS: &str = "/kootask/v1/tasks/";

tokio::task_local! {
    /// The request that the task at hand answers.
    pub(super) static AT_HAND: Arc<Exchange>;
}

/// A request of a client.
pub(super) struct Exchange {
    /// Its head.
    pub(super) head: Parts,
    /// How many resets there were when it came.
    pub(super) resets: u64,
    body: Arc<Mutex<Kept>>,
    /// What a rule has done to it.
    pub(super) fault: OnceLock<Fault>,
    /// The rule that decided on the task that it created.
    pub(super) rule: OnceLock<String>,
}

impl Exchange {
    /// A request with this head.
    pub(super) fn new(head: Parts, resets: u64) -> Self {
        Self {
            head,
            resets,
            body: Arc::default(),
            fault: OnceLock::new(),
            rule: OnceLock::new(),
        }
    }

    /// The body, kept as it is read.
    pub(super) fn recorded(&self, body: Body) -> Body {
        locked(&self.body).is_whole = http_body::Body::is_end_stream(&body);
        Body::new(Recorded {
            inner: body,
            kept: Arc::clone(&self.body),
        })
    }

    /// What was read of the body.
    pub(super) fn body(&self) -> Kept {
        locked(&self.body).clone()
    }

    /// The call, by its name.
    pub(super) fn call(&self) -> Option<&'static str> {
        call(&self.head)
    }
}

/// The name of the call that a request makes.
fn call(head: &Parts) -> Option<&'static str> {
    let path = head.uri.path();
    if let Some(rest) = path.strip_prefix(TENANTS_TASKS) {
        return match rest.split_once('/')?.1 {
            "cancel" => Some("cancel"),
            "retry" => Some("retry"),
            "attempts" => Some("attempts"),
            "failures" => Some("failures"),
            _ => None,
        };
    }
    let rest = path.strip_prefix(TASKS)?;
    Some(match rest.split_once('/') {
        None if rest == "create" => "create",
        None if rest == "list" => "list",
        None if rest == "result" => "result",
        None => "detail",
        Some(("dstUserInfo", _)) => "recipient",
        Some(_) => return None,
    })
}

impl Fields for Exchange {
    fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        match name {
            "call" => self.call().map(Cow::Borrowed),
            "method" => Some(self.head.method.as_str().into()),
            "path" => Some(self.head.uri.path().into()),
            "query" => self.head.uri.query().map(Cow::Borrowed),
            "user" => header(&self.head.headers, "X-User-Id"),
            "traceId" => header(&self.head.headers, "X-Traceid"),
            _ => self.field_below(name),
        }
    }
}

impl Exchange {
    fn field_below(&self, name: &str) -> Option<Cow<'_, str>> {
        if let Some(name) = name.strip_prefix("headers.") {
            return header(&self.head.headers, name);
        }
        if let Some(name) = name.strip_prefix("query.") {
            return in_query(self.head.uri.query()?, name).map(Cow::Owned);
        }
        let body: Value = serde_json::from_slice(&locked(&self.body).bytes).ok()?;
        in_body(&body, name, self.call()).map(Cow::Owned)
    }
}

/// A field of a body; the type of a task that a create leaves out is 0.
pub(super) fn in_body(body: &Value, name: &str, call: Option<&str>) -> Option<String> {
    let name = name.strip_prefix("body.").unwrap_or(name);
    let field = body.get(name).filter(|value| !value.is_null());
    match field {
        Some(value) => Some(text(value).into_owned()),
        None if name == "taskType" && call == Some("create") => Some("0".to_owned()),
        None => None,
    }
}

/// The first value of a query's parameter.
pub(super) fn in_query(query: &str, name: &str) -> Option<String> {
    let mut pairs = query::pairs(query);
    let (_, value) = pairs.find(|(key, _)| key.as_ref() == name.as_bytes())?;
    Some(String::from_utf8_lossy(&value).into_owned())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<Cow<'a, str>> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()))
}

/// A task's parameters as fields of the create call's body, where no request is at
/// hand.
struct Created<'a>(&'a TaskParameters);

impl Fields for Created<'_> {
    fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        if name == "call" {
            return Some("create".into());
        }
        let name = name.strip_prefix("body.").unwrap_or(name);
        parameter(self.0, name).map(Cow::Borrowed)
    }
}

/// A task's parameter by its name in the create call's body.
fn parameter<'a>(parameters: &'a TaskParameters, name: &str) -> Option<&'a str> {
    match (parameters, name) {
        (TaskParameters::Transfer { .. }, "taskType") => Some("0"),
        (TaskParameters::BatchImport { .. }, "taskType") => Some("1"),
        (TaskParameters::Transfer { src_user_id, .. }, "srcUserId") => Some(src_user_id.as_str()),
        (TaskParameters::Transfer { dst_user_id, .. }, "dstUserId") => Some(dst_user_id.as_str()),
        (TaskParameters::BatchImport { result_id, .. }, "resultId") => Some(result_id.as_str()),
        (TaskParameters::BatchImport { org_id, .. }, "orgId") => Some(org_id.as_str()),
        (TaskParameters::BatchImport { org_user_id, .. }, "orgUserId") => {
            Some(org_user_id.as_str())
        }
        _ => None,
    }
}

/// What becomes of the task that is created with these parameters, if a rule says
/// it.
pub(super) fn outcome(tenant: &Tenant, parameters: &TaskParameters) -> Option<(String, Outcome)> {
    let of_request = AT_HAND.try_with(|exchange| {
        let counted = exchange.fault.get().map(|fault| fault.rule.as_str());
        let found = tenant.rules().outcome(&**exchange, counted)?;
        exchange.rule.get_or_init(|| found.0.clone());
        Some(found)
    });
    of_request.unwrap_or_else(|_| tenant.rules().outcome(&Created(parameters), None))
}

/// As much of a body as is kept.
#[derive(Clone, Default)]
pub(super) struct Kept {
    /// Its beginning.
    pub(super) bytes: Vec<u8>,
    /// It goes on, and that was read too.
    is_long: bool,
    /// It was read to its end.
    is_whole: bool,
}

impl Kept {
    fn keep(&mut self, data: &[u8]) {
        let room = MOST_BODY.saturating_sub(self.bytes.len());
        self.bytes.extend(data.iter().take(room));
        self.is_long |= data.len() > room;
    }

    /// Why there is no more of it, if there may be: `long`, or `unread` where the
    /// answer did not need it.
    pub(super) const fn missing(&self) -> Option<&'static str> {
        match (self.is_long, self.is_whole) {
            (true, _) => Some("long"),
            (false, false) => Some("unread"),
            (false, true) => None,
        }
    }
}

/// A body that is kept as it is read.
struct Recorded {
    inner: Body,
    kept: Arc<Mutex<Kept>>,
}

impl http_body::Body for Recorded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        let mut kept = locked(&self.kept);
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            kept.keep(data);
        }
        kept.is_whole = frame.is_none() || self.inner.is_end_stream();
        drop(kept);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
