//! What a tenant is set up with: the form of a seed, of an export and of an
//! import; and reading it from files, whose mistakes are told with their line.
//!
//! Contract: `stand-in.md`, "Calls".

use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use super::outcome::{FailureForm, Plan, ResultForm};
use super::progress::Progress;
use super::rules::{Rule, Then};
use super::text::Text;
use super::world::Life;
use crate::task::import::ImportCounts;
use crate::task::life_cycle::Step;
use crate::task::repository::StoreError;
use crate::task::{
    Identifier, NewTask, ResultCode, Task, TaskId, TaskParameters, TaskStatus, TaskType, TenantId,
};

/// The most bytes of a seed's file.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// The user of a task for which none is said.
const USER: &str = "kootask-dev";

/// Why there is no seed.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// It cannot be read.
    #[error("cannot read the seed {}: {cause}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// It is wrong.
    #[error("the seed is wrong: {}, line {line}: {problem}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
    /// The store is none that takes it.
    #[error("a seed needs the store memory:")]
    NeedsMemory,
    /// The store could not take it.
    #[error(transparent)]
    Store(StoreError),
}

/// A tenant's state.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct StateForm {
    /// Where its clock stands still; it goes with the wall clock if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Text<Timestamp>>,
    /// Its tasks.
    #[serde(default)]
    pub tasks: Vec<TaskForm>,
    /// Its rules, the newest last.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

impl StateForm {
    /// Whether it says nothing.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.clock.is_none() && self.tasks.is_empty() && self.rules.is_empty()
    }
}

/// A task in whatever state.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskForm {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Text<TaskId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age: Option<Text<SignedDuration>>,
    status: Status,
    task_type: u8,
    #[serde(flatten)]
    parameters: Parameters,
    user_id: Identifier,
    locale: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_code: Option<Text<ResultCode>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Text<Timestamp>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Text<Timestamp>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<ResultForm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    then: Option<Then>,
}

/// A task's status as the stand-in writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Never started.
    New,
    /// It waits to be tried again.
    Waiting,
    /// Being executed.
    Executing,
    /// Ended well.
    Success,
    /// Ended with a result code.
    Failed,
}

impl From<TaskStatus> for Status {
    fn from(status: TaskStatus) -> Self {
        match status {
            TaskStatus::New => Self::New,
            TaskStatus::Waiting => Self::Waiting,
            TaskStatus::Executing => Self::Executing,
            TaskStatus::Success => Self::Success,
            TaskStatus::Failed => Self::Failed,
        }
    }
}

impl From<Status> for TaskStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::New => Self::New,
            Status::Waiting => Self::Waiting,
            Status::Executing => Self::Executing,
            Status::Success => Self::Success,
            Status::Failed => Self::Failed,
        }
    }
}

/// The text is no status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be NEW, WAITING, EXECUTING, SUCCESS or FAILED")]
pub struct NotAStatus;

impl FromStr for Status {
    type Err = NotAStatus;

    fn from_str(text: &str) -> Result<Self, NotAStatus> {
        let mut all = TaskStatus::ALL.into_iter().map(Self::from);
        all.find(|status| status.name() == text).ok_or(NotAStatus)
    }
}

impl Status {
    /// The status in one word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Waiting => "WAITING",
            Self::Executing => "EXECUTING",
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
        }
    }
}

/// What a task was created with, by the names of the create call's body.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
enum Parameters {
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

impl TaskForm {
    /// The form of a task as it stands, with what is ahead of it.
    #[must_use]
    pub(super) fn of(task: &Task, life: Option<&Life>) -> Self {
        let is_import = task.parameters.task_type() == TaskType::BatchImport;
        let planned = life.and_then(|life| life.plan.result.clone());
        let result = if task.status.has_ended() && planned.is_some() {
            planned
        } else {
            is_import.then_some(ResultForm {
                success_count: task.counts.succeeded,
                fail_count: Some(task.counts.failed),
                failures: None,
            })
        };
        Self {
            id: Some(Text(task.id)),
            age: None,
            status: task.status.into(),
            task_type: u8::from(is_import),
            parameters: (&task.parameters).into(),
            user_id: task.user_id.clone(),
            locale: task.locale.clone(),
            created_by: task.created_by.clone(),
            result_code: task.result_code.map(Text),
            started_at: task.started_at.map(Text),
            ended_at: task.ended_at.map(Text),
            result,
            then: None,
        }
    }

    /// The id it has; where it has none, that of its age at `now`, drawn by `draw`.
    #[must_use]
    pub(super) fn id(&self, now: Timestamp, draw: &mut dyn FnMut(Timestamp) -> TaskId) -> TaskId {
        self.id.map_or_else(
            || {
                let age = self.age.map_or(SignedDuration::ZERO, |Text(age)| age);
                draw(now.checked_sub(age).unwrap_or(now))
            },
            |Text(id)| id,
        )
    }

    /// The task under this id, and the life it has ahead.
    #[must_use]
    pub(super) fn task(
        &self,
        tenant_id: &TenantId,
        id: TaskId,
        progress: Progress,
    ) -> (Task, Life) {
        let mut task = Task::new(
            id,
            NewTask {
                tenant_id: tenant_id.clone(),
                user_id: self.user_id.clone(),
                created_by: self.created_by.clone(),
                locale: "",
                parameters: self.parameters.clone().into(),
            },
        );
        task.locale.clone_from(&self.locale);
        task.status = self.status.into();
        let outcome = self.then.as_ref().map(Then::outcome);
        let mut plan = Plan::of(&task.parameters, progress, outcome);
        if task.status.has_ended() && self.result.is_some() {
            plan.result.clone_from(&self.result);
        }
        let (created, status) = (id.created_at(), task.status);
        let started = self.started_at.map_or(created, |Text(moment)| moment);
        if status == TaskStatus::Executing || status.has_ended() {
            task.started_at = Some(started);
            task.fence = task.fence.next();
            task.attempts_counted = 1;
        }
        if status.has_ended() {
            task.ended_at = Some(self.ended_at.map_or(started, |Text(moment)| moment));
        }
        if status == TaskStatus::Failed {
            let code = self.result_code.map(|Text(code)| code);
            task.result_code = Some(code.unwrap_or(match plan.end {
                Step::Fail(code) => code,
                _ => ResultCode::FAILED_WITHOUT_CODE,
            }));
        }
        task.counts = match (&self.result, &plan.result) {
            (Some(result), _) => result.counts(),
            (None, Some(result)) if status.has_ended() => result.counts(),
            _ => ImportCounts::default(),
        };
        (task, Life::new(plan, None))
    }
}

/// An import's rows as they are written.
impl From<crate::task::import::ImportFailure> for FailureForm {
    fn from(row: crate::task::import::ImportFailure) -> Self {
        Self {
            user_name: row.user_name,
            desc: row.description,
        }
    }
}

/// Reads a file, or the `*.toml` and `*.json` of a folder in the order of their
/// names: their tasks and rules come one after the other, and the last clock
/// counts.
///
/// # Errors
///
/// [`SeedError`]; of a mistake with its file and line.
pub(super) fn read(path: &Path) -> Result<StateForm, SeedError> {
    let unreadable = |cause| SeedError::Unreadable {
        path: path.to_owned(),
        cause,
    };
    let mut whole = StateForm::default();
    for file in files(path).map_err(unreadable)? {
        let part = read_file(&file)?;
        whole.clock = part.clock.or(whole.clock);
        whole.tasks.extend(part.tasks);
        whole.rules.extend(part.rules);
    }
    Ok(whole)
}

fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.metadata()?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let is_seed = |file: &PathBuf| {
        let ending = file.extension().and_then(|ending| ending.to_str());
        matches!(ending, Some("toml" | "json"))
    };
    let entries = path
        .read_dir()?
        .map(|entry| entry.map(|entry| entry.path()));
    let mut files: Vec<_> = entries.collect::<Result<_, _>>()?;
    files.retain(is_seed);
    files.sort();
    Ok(files)
}

fn read_file(path: &Path) -> Result<StateForm, SeedError> {
    let text = std::fs::metadata(path).and_then(|metadata| {
        if metadata.len() > MOST_BYTES {
            return Err(std::io::Error::other("it has more than 64 MiB"));
        }
        std::fs::read_to_string(path)
    });
    let text = text.map_err(|cause| SeedError::Unreadable {
        path: path.to_owned(),
        cause,
    })?;
    let is_json = path.extension().is_some_and(|ending| ending == "json");
    let read = if is_json {
        serde_json::from_str(&text).map_err(|error| (error.line(), error.to_string()))
    } else {
        toml::from_str(&text).map_err(|error: toml::de::Error| {
            let start = error.span().map_or(0, |span| span.start);
            let before = text.get(..start).unwrap_or(&text);
            let line = before.matches('\n').count().saturating_add(1);
            (line, error.message().to_owned())
        })
    };
    read.map_err(|(line, problem)| SeedError::Wrong {
        path: path.to_owned(),
        line,
        problem,
    })
}
