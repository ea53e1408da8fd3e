//! Path parameters.

use std::str::FromStr;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;

use super::error::{ApiError, Reason, Violation};

/// A path's one parameter, as the router gives it to a handler.
pub type PathParameter = Result<Path<String>, PathRejection>;

/// The parameter, read; whatever is wrong with it, `field` is at fault.
///
/// # Errors
///
/// [`ApiError::InvalidParameters`].
pub fn read<T: FromStr>(
    parameter: PathParameter,
    field: &'static str,
    reason: Reason,
) -> Result<T, ApiError> {
    parameter
        .ok()
        .and_then(|Path(text)| text.parse().ok())
        .ok_or_else(|| ApiError::InvalidParameters(vec![Violation::new(field, reason)]))
}
