//! What a task was created with.

use serde::Serialize;

use crate::task::{Identifier, TaskParameters};

/// What a task was created with, by the names of the create call's body.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(super) enum Parameters {
    #[serde(rename_all = "camelCase")]
    Transfer {
        src_user_id: Identifier,
        dst_user_id: Identifier,
    },
    #[serde(rename_all = "camelCase")]
    Import {
        result_id: Identifier,
        org_id: Identifier,
        org_user_id: Identifier,
    },
}

impl From<Parameters> for TaskParameters {
    fn from(parameters: Parameters) -> Self {
        match parameters {
            Parameters::Transfer {
                src_user_id,
                dst_user_id,
            } => Self::Transfer {
                src_user_id,
                dst_user_id,
            },
            Parameters::Import {
                result_id,
                org_id,
                org_user_id,
            } => Self::BatchImport {
                result_id,
                org_id,
                org_user_id,
            },
        }
    }
}

impl From<&TaskParameters> for Parameters {
    fn from(parameters: &TaskParameters) -> Self {
        match parameters.clone() {
            TaskParameters::Transfer {
                src_user_id,
                dst_user_id,
            } => Self::Transfer {
                src_user_id,
                dst_user_id,
            },
            TaskParameters::BatchImport {
                result_id,
                org_id,
                org_user_id,
            } => Self::Import {
                result_id,
                org_id,
                org_user_id,
            },
        }
    }
}
