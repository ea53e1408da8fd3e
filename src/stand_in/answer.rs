//! What the stand-in's own calls are asked and answer: plain JSON, and streams of events.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{Stream, StreamExt};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, Request, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::control::ControlError;
use crate::task::repository::StoreError;
use crate::task::{Identifier, TenantId};
use crate::web::error::ApiError;
use crate::web::query;

/// The most bytes of a body: a whole state.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// KooDrive's code for a request that is refused as such.
const REFUSED: u32 = 13_000_101;

/// How often a stream of events says that it is still there.
const ALIVE: Duration = Duration::from_secs(15);

/// Why a call does nothing, for who reads the answer. It may quote the request,
/// so no table holds it.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    text: String,
}

impl Refused {
    /// A refusal with this status.
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { status, text }
    }

    /// Its status.
    pub(super) const fn status(&self) -> StatusCode {
        self.status
    }

    /// What is wrong.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The request is wrong.
    pub(super) fn bad(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// There is no such task, rule or entry.
    pub(super) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no such {what}"))
    }
}

impl From<ControlError> for Refused {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::NeedsMemory => Self::new(StatusCode::CONFLICT, error.to_string()),
            ControlError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store could not do what the stand-in wanted");
        let text = "the store could not do it; see the log";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, text)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Form<'a> {
            code: u32,
            msg: &'a str,
        }
        let form = Form {
            code: REFUSED,
            msg: &self.text,
        };
        let mut response = json(&form);
        *response.status_mut() = self.status;
        response
    }
}

/// The answer to a call of the stand-in.
pub(super) type Answer = Result<Response, Refused>;

/// Server-sent events, for as long as there are some to come.
pub(super) fn stream(events: impl Stream<Item = sse::Event> + Send + 'static) -> Response {
    Sse::new(events.map(Ok::<_, Infallible>))
        .keep_alive(KeepAlive::new().interval(ALIVE))
        .into_response()
}

/// A value as a body.
pub(super) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => {
            let json = HeaderValue::from_static("application/json");
            ([(CONTENT_TYPE, json)], body).into_response()
        }
        Err(error) => ApiError::internal(error).into_response(),
    }
}

/// The body of a request, which must be declared as JSON.
pub(super) async fn body<T: DeserializeOwned>(request: Request<Body>) -> Result<T, Refused> {
    let (parts, body) = request.into_parts();
    let declared = parts.headers.get(CONTENT_TYPE);
    let essence = declared.and_then(|value| value.to_str().ok()?.split(';').next());
    if !essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json")) {
        let text = "the body must be declared as application/json";
        return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    let Ok(bytes) = axum::body::to_bytes(body, MOST_BYTES).await else {
        let text = "the body cannot be read, or has more than 64 MiB";
        return Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, text));
    };
    serde_json::from_slice(&bytes).map_err(|error| Refused::bad(error.to_string()))
}

/// The one value of a query's parameter; `None` if it is absent or empty.
pub(super) fn parameter(parts: &Parts, name: &str) -> Result<Option<String>, Refused> {
    let pairs = query::pairs(parts.uri.query().unwrap_or_default());
    let mut values =
        pairs.filter(|(key, value)| key.as_ref() == name.as_bytes() && !value.is_empty());
    let value = values.next();
    if values.next().is_some() {
        return Err(Refused::bad(format!("{name} must be given only once")));
    }
    let text = value.map(|(_, value)| String::from_utf8_lossy(&value).into_owned());
    Ok(text)
}

/// As [`parameter`], read as a `T`.
pub(super) fn parsed<T>(parts: &Parts, name: &str) -> Result<Option<T>, Refused>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let text = parameter(parts, name)?;
    let read = text.map(|text| text.parse());
    read.transpose()
        .map_err(|error| Refused::bad(format!("{name}: {error}")))
}

/// Whose state a call is about.
#[derive(Clone)]
pub(super) enum Whose {
    /// One tenant's.
    One(TenantId),
    /// That of all that are there.
    All,
}

impl Whose {
    /// What `?tenant=` says; `dev` if it is absent.
    pub(super) fn of(parts: &Parts) -> Result<Self, Refused> {
        match parameter(parts, "tenant")?.as_deref() {
            None => Ok(Self::One(crate::auth::stand_in::tenant())),
            Some("*") => Ok(Self::All),
            Some(name) => {
                let name: Identifier = name
                    .parse()
                    .map_err(|error| Refused::bad(format!("tenant: {error}")))?;
                Ok(Self::One(name.into()))
            }
        }
    }
}
