//! A task in whatever state, as it is written.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::parameters::Parameters;
use super::status::Status;
use crate::stand_in::outcome::{Plan, ResultForm};
use crate::stand_in::progress::Progress;
use crate::stand_in::rules::Then;
use crate::stand_in::text::Text;
use crate::stand_in::world::Life;
use crate::task::import::ImportCounts;
use crate::task::life_cycle::Step;
use crate::task::{Identifier, NewTask, ResultCode, Task, TaskId, TaskStatus, TaskType, TenantId};

/// A task in whatever state.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct TaskForm {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<Text<TaskId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) age: Option<Text<SignedDuration>>,
    pub(super) status: Status,
    pub(super) task_type: u8,
    #[serde(flatten)]
    pub(super) parameters: Parameters,
    pub(super) user_id: Identifier,
    pub(super) locale: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) created_by: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) result_code: Option<Text<ResultCode>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) started_at: Option<Text<Timestamp>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended_at: Option<Text<Timestamp>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) result: Option<ResultForm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) then: Option<Then>,
}

impl TaskForm {
    /// The form of a task as it stands, with what is ahead of it.
    #[must_use]
    pub(in super::super) fn of(task: &Task, life: Option<&Life>) -> Self {
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
    pub(in super::super) fn id(
        &self,
        now: Timestamp,
        draw: &mut dyn FnMut(Timestamp) -> TaskId,
    ) -> TaskId {
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
    pub(in super::super) fn task(
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
