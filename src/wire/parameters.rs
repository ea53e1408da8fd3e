//! What a task was created with, as the fields of the create call's body.

use serde::Serialize;
use utoipa::ToSchema;

use crate::task::{Identifier, TaskParameters};

/// The fields of the create call's body that the task's type has.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Parameters<'a> {
    /// Of a transfer and deletion.
    #[serde(rename_all = "camelCase")]
    Transfer {
        /// The leaving user.
        #[schema(value_type = Identifier)]
        src_user_id: &'a str,
        /// The recipient of the files.
        #[schema(value_type = Identifier)]
        dst_user_id: &'a str,
    },
    /// Of a batch import.
    #[serde(rename_all = "camelCase")]
    BatchImport {
        /// The uploaded result to import.
        #[schema(value_type = Identifier)]
        result_id: &'a str,
        /// The organization that the users join.
        #[schema(value_type = Identifier)]
        org_id: &'a str,
        /// The creator's orgUserId.
        #[schema(value_type = Identifier)]
        org_user_id: &'a str,
    },
}

impl<'a> Parameters<'a> {
    /// The fields of these parameters.
    #[must_use]
    pub fn of(parameters: &'a TaskParameters) -> Self {
        match parameters {
            TaskParameters::Transfer {
                src_user_id,
                dst_user_id,
            } => Self::Transfer {
                src_user_id: src_user_id.as_str(),
                dst_user_id: dst_user_id.as_str(),
            },
            TaskParameters::BatchImport {
                result_id,
                org_id,
                org_user_id,
            } => Self::BatchImport {
                result_id: result_id.as_str(),
                org_id: org_id.as_str(),
                org_user_id: org_user_id.as_str(),
            },
        }
    }
}
