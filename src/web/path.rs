//! Path parameters.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;

use super::error::{ApiError, Reason, Violation};

/// What a path's one parameter can be read as.
pub trait PathParameter: FromStr {
    /// Its name in the path.
    const NAME: &'static str;
    /// What is wrong with a text that cannot be read.
    const REASON: Reason;
}

/// A path's one parameter as a handler's argument; otherwise
/// [`ApiError::InvalidParameters`].
#[derive(Debug, Clone, Copy)]
pub struct InPath<T>(pub T);

impl<S: Send + Sync, T: PathParameter> FromRequestParts<S> for InPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        // What is no UTF-8 is refused like any other text that cannot be read.
        let text = Path::<String>::from_request_parts(parts, state).await.ok();
        text.and_then(|Path(text)| text.parse().ok())
            .map(Self)
            .ok_or_else(|| Violation::new(T::NAME, T::REASON).into())
    }
}
