//! The request at hand, for what is decided far from it: the outcome of the task
//! that it creates.

use std::borrow::Cow;

use super::matcher::Fields;
use super::outcome::Outcome;
use super::tenant::Tenant;
use crate::task::TaskParameters;

/// A task's parameters as fields of the create call's body, where no request is at
/// hand.
struct Created<'a>(&'a TaskParameters);

impl Fields for Created<'_> {
    fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        if name == "call" {
            return Some("create".into());
        }
        parameter(self.0, name).map(Cow::Borrowed)
    }
}

/// A task's parameter by its name in the create call's body.
fn parameter<'a>(parameters: &'a TaskParameters, name: &str) -> Option<&'a str> {
    match (parameters, name.strip_prefix("body.").unwrap_or(name)) {
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
    tenant.rules().outcome(&Created(parameters), None)
}
