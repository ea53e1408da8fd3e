//! A task's fields as they come, and whether they go together.

use jiff::{SignedDuration, Timestamp};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::parameters::Parameters;
use super::status::Status;
use super::task::TaskForm;
use crate::stand_in::outcome::ResultForm;
use crate::stand_in::rules::Then;
use crate::stand_in::text::Text;
use crate::task::{Identifier, ResultCode, TaskId};

/// The user of a task for which none is said.
const USER: &str = "kootask-dev";

/// A task's fields as they come.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Form {
    id: Option<Text<TaskId>>,
    age: Option<Text<SignedDuration>>,
    status: Option<Status>,
    #[serde(default)]
    task_type: u8,
    src_user_id: Option<Identifier>,
    dst_user_id: Option<Identifier>,
    result_id: Option<Identifier>,
    org_id: Option<Identifier>,
    org_user_id: Option<Identifier>,
    user_id: Option<Identifier>,
    locale: Option<String>,
    created_by: Option<Identifier>,
    result_code: Option<Text<ResultCode>>,
    started_at: Option<Text<Timestamp>>,
    ended_at: Option<Text<Timestamp>>,
    result: Option<ResultForm>,
    then: Option<Then>,
}

impl<'de> Deserialize<'de> for TaskForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Form::deserialize(deserializer)?
            .checked()
            .map_err(D::Error::custom)
    }
}

impl Form {
    fn checked(self) -> Result<TaskForm, &'static str> {
        let parameters = self.parameters()?;
        let status = self.status.unwrap_or(Status::New);
        if self.id.is_some() && self.age.is_some() {
            return Err("a task has an id, which tells its age, or an age, not both");
        }
        if self.age.is_some_and(|Text(age)| age.is_negative()) {
            return Err("a task's age must not be negative");
        }
        if self.result_code.is_some() && status != Status::Failed {
            return Err("resultCode is of a task whose status is FAILED");
        }
        if self.result.is_some() && matches!(parameters, Parameters::Transfer { .. }) {
            return Err("result is of a batch import");
        }
        let user = || USER.parse().map_err(|_| "no user");
        Ok(TaskForm {
            id: self.id,
            age: self.age,
            status,
            task_type: self.task_type,
            parameters,
            user_id: self.user_id.map_or_else(user, Ok)?,
            locale: self.locale.unwrap_or_else(|| "en-US".to_owned()),
            created_by: self.created_by,
            result_code: self.result_code,
            started_at: self.started_at,
            ended_at: self.ended_at,
            result: self.result,
            then: self.then,
        })
    }

    fn parameters(&self) -> Result<Parameters, &'static str> {
        match self.task_type {
            0 => match (self.src_user_id.clone(), self.dst_user_id.clone()) {
                (Some(src), Some(dst)) if src == dst => Err("dstUserId must differ from srcUserId"),
                (Some(src_user_id), Some(dst_user_id)) => Ok(Parameters::Transfer {
                    src_user_id,
                    dst_user_id,
                }),
                _ => Err("a task of type 0 has srcUserId and dstUserId"),
            },
            1 => {
                let org = self.org_id.clone().zip(self.org_user_id.clone());
                let (result_id, (org_id, org_user_id)) = (self.result_id.clone().zip(org))
                    .ok_or("a task of type 1 has resultId, orgId and orgUserId")?;
                Ok(Parameters::Import {
                    result_id,
                    org_id,
                    org_user_id,
                })
            }
            _ => Err("taskType must be 0 or 1"),
        }
    }
}
