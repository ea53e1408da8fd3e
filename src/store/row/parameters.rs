//! The parameters of a task, as JSON.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::task::{Identifier, TaskParameters, TaskType};

/// The parameters of a transfer, as JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TransferParameters<'a> {
    #[serde(borrow)]
    src_user_id: Cow<'a, str>,
    #[serde(borrow)]
    dst_user_id: Cow<'a, str>,
}

/// The parameters of a batch import, as JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ImportParameters<'a> {
    #[serde(borrow)]
    result_id: Cow<'a, str>,
    #[serde(borrow)]
    org_id: Cow<'a, str>,
    #[serde(borrow)]
    org_user_id: Cow<'a, str>,
}

/// The column `init_params`: the parameters as a JSON object.
pub(in crate::store) fn write_parameters(
    parameters: &TaskParameters,
) -> serde_json::Result<String> {
    fn text(id: &Identifier) -> Cow<'_, str> {
        Cow::Borrowed(id.as_str())
    }
    match parameters {
        TaskParameters::Transfer {
            src_user_id,
            dst_user_id,
        } => serde_json::to_string(&TransferParameters {
            src_user_id: text(src_user_id),
            dst_user_id: text(dst_user_id),
        }),
        TaskParameters::BatchImport {
            result_id,
            org_id,
            org_user_id,
        } => serde_json::to_string(&ImportParameters {
            result_id: text(result_id),
            org_id: text(org_id),
            org_user_id: text(org_user_id),
        }),
    }
}

/// The parameters of a task of this type; `None` if the text is not of such.
pub(in crate::store) fn read_parameters(task_type: TaskType, json: &str) -> Option<TaskParameters> {
    fn id(text: &str) -> Option<Identifier> {
        text.parse().ok()
    }
    Some(match task_type {
        TaskType::TransferAndDeletion => {
            let read: TransferParameters<'_> = serde_json::from_str(json).ok()?;
            TaskParameters::Transfer {
                src_user_id: id(&read.src_user_id)?,
                dst_user_id: id(&read.dst_user_id)?,
            }
        }
        TaskType::BatchImport => {
            let read: ImportParameters<'_> = serde_json::from_str(json).ok()?;
            TaskParameters::BatchImport {
                result_id: id(&read.result_id)?,
                org_id: id(&read.org_id)?,
                org_user_id: id(&read.org_user_id)?,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_by_their_type_and_never_by_their_shape() {
        let json = r#"{"srcUserId":"a","dstUserId":"b"}"#;
        assert!(read_parameters(TaskType::TransferAndDeletion, json).is_some());
        assert_eq!(read_parameters(TaskType::BatchImport, json), None);
    }
}
