//! A user that was not imported.

use serde::Serialize;
use utoipa::ToSchema;

use crate::task::import;

/// A user that was not imported, as on the wire.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportFailure {
    /// The user's name.
    user_name: String,
    /// What was wrong.
    desc: String,
}

impl From<import::ImportFailure> for ImportFailure {
    fn from(failure: import::ImportFailure) -> Self {
        Self {
            user_name: failure.user_name,
            desc: failure.description,
        }
    }
}
