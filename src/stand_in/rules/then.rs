//! What a rule does: to the task that is created, to the request, or to both.

use jiff::SignedDuration;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use super::Delay;
use crate::stand_in::outcome::{End, Outcome, ResultForm};
use crate::stand_in::progress::Progress;
use crate::stand_in::text::Text;
use crate::task::ResultCode;

/// The statuses that a rule can answer with.
const STATUSES: [u16; 7] = [401, 403, 404, 413, 429, 500, 503];

/// What a rule does: an outcome of the task that is created, a fault, or both.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Then {
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<End>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_code: Option<Text<ResultCode>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Text<Progress>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<ResultForm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay: Option<Delay>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drop: Option<Drop>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    hang: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncate: Option<u64>,
}

/// When a connection is reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Drop {
    /// Before the request has an effect.
    Before,
    /// After it, and before the answer.
    After,
}

impl<'de> Deserialize<'de> for Then {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct Form {
            end: Option<End>,
            result_code: Option<Text<ResultCode>>,
            progress: Option<Text<Progress>>,
            result: Option<ResultForm>,
            status: Option<u16>,
            delay: Option<Delay>,
            drop: Option<Drop>,
            #[serde(default)]
            hang: bool,
            truncate: Option<u64>,
        }
        let form = Form::deserialize(deserializer)?;
        let then = Self {
            end: form.end,
            result_code: form.result_code,
            progress: form.progress,
            result: form.result,
            status: form.status,
            delay: form.delay,
            drop: form.drop,
            hang: form.hang,
            truncate: form.truncate,
        };
        match then.problem() {
            Some(problem) => Err(D::Error::custom(problem)),
            None => Ok(then),
        }
    }
}

impl Then {
    fn problem(&self) -> Option<&'static str> {
        if !self.is_outcome() && !self.is_fault() {
            return Some("then says nothing");
        }
        if self
            .status
            .is_some_and(|status| !STATUSES.contains(&status))
        {
            return Some("then.status must be 401, 403, 404, 413, 429, 500 or 503");
        }
        if self.result_code.is_some() && !matches!(self.end, None | Some(End::Failed)) {
            return Some("then.resultCode is of a task that fails");
        }
        let result = self.result.as_ref();
        if result.is_some_and(|result| result.fail_count.is_some() && result.failures.is_some()) {
            return Some("then.result has failures or failCount, not both");
        }
        None
    }

    /// Whether it says what becomes of a task.
    #[must_use]
    pub const fn is_outcome(&self) -> bool {
        self.end.is_some()
            || self.result_code.is_some()
            || self.progress.is_some()
            || self.result.is_some()
    }

    /// Whether it says what becomes of a request.
    #[must_use]
    pub const fn is_fault(&self) -> bool {
        self.status.is_some()
            || self.delay.is_some()
            || self.drop.is_some()
            || self.hang
            || self.truncate.is_some()
    }

    /// What becomes of a task.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        Outcome {
            end: self.end,
            result_code: self.result_code.map(|Text(code)| code),
            progress: self.progress.map(|Text(progress)| progress),
            result: self.result.clone(),
        }
    }

    pub(super) fn fault(&self, rule: String, number: u64) -> Fault {
        let delay = self.delay.map(|delay| delay.of(number));
        Fault {
            rule,
            status: self.status,
            delay: delay.unwrap_or(SignedDuration::ZERO),
            drop: self.drop,
            hang: self.hang,
            truncate: self.truncate,
        }
    }
}

/// What becomes of a request.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The rule that said so.
    pub rule: String,
    /// It is answered with this error.
    pub status: Option<u16>,
    /// How late its answer is.
    pub delay: SignedDuration,
    /// Its connection is reset.
    pub drop: Option<Drop>,
    /// It is never answered.
    pub hang: bool,
    /// Of the answer only so many bytes are sent.
    pub truncate: Option<u64>,
}
