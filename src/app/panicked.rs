//! The answer to a request whose handler panicked.

use std::any::Any;

use axum::response::{IntoResponse, Response};

use crate::web::error::ApiError;

/// A handler panicked; the payload may hold anything, so only its text is
/// logged.
#[derive(Debug, thiserror::Error)]
#[error("a handler panicked: {0}")]
struct Panicked(String);

/// What the client is told: an error like any other. The payload goes to the log.
pub(super) fn answer(payload: Box<dyn Any + Send>) -> Response {
    let text = match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload
            .downcast::<&'static str>()
            .map_or_else(|_| "(no text)".to_owned(), |text| (*text).to_owned()),
    };
    ApiError::internal(Panicked(text)).into_response()
}
