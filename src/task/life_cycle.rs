//! The life of a task: NEW → EXECUTING → SUCCESS or FAILED.

use jiff::Timestamp;

use super::{ImportResult, Task, TaskStatus, TaskType};

/// A step of a task's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transition {
    /// Its execution begins.
    Start,
    /// A batch import has come this far.
    Progress(ImportResult),
    /// It ended well.
    Succeed,
    /// It failed, with this KooDrive code (`18…`).
    Fail(String),
}

/// The task is not in a status that the step can be taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a task in status {from:?} cannot take this step")]
pub struct InvalidTransition {
    /// The status that the task is in.
    pub from: TaskStatus,
}

impl Task {
    /// Takes a step at `now`, to the millisecond. A batch import's result is kept
    /// beside the task.
    ///
    /// # Errors
    ///
    /// [`InvalidTransition`]; the task is unchanged then.
    pub fn take(&mut self, step: &Transition, now: Timestamp) -> Result<(), InvalidTransition> {
        let now = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
        let is_import = self.parameters.task_type() == TaskType::BatchImport;
        match (self.status, step) {
            (TaskStatus::New, Transition::Start) => {
                self.status = TaskStatus::Executing;
                self.started_at = Some(now);
            }
            (TaskStatus::Executing, Transition::Progress(_)) if is_import => {}
            (TaskStatus::Executing, Transition::Succeed) => {
                self.status = TaskStatus::Success;
                self.ended_at = Some(now);
            }
            (TaskStatus::Executing, Transition::Fail(code)) => {
                self.status = TaskStatus::Failed;
                self.result_code = Some(code.clone());
                self.ended_at = Some(now);
            }
            (from, _) => return Err(InvalidTransition { from }),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::task::{NewTask, TaskId, TaskParameters};

    fn steps() -> impl Strategy<Value = Vec<Transition>> {
        let step = prop_oneof![
            Just(Transition::Start),
            Just(Transition::Progress(ImportResult::default())),
            Just(Transition::Succeed),
            Just(Transition::Fail("18000205".to_owned())),
        ];
        proptest::collection::vec(step, 0..12)
    }

    fn task(is_import: bool) -> Task {
        let id = |text: &str| text.parse().unwrap();
        let parameters = if is_import {
            TaskParameters::BatchImport {
                result_id: id("r"),
                org_id: id("o"),
                org_user_id: id("u"),
            }
        } else {
            TaskParameters::Transfer {
                src_user_id: id("a"),
                dst_user_id: id("b"),
            }
        };
        let new = NewTask {
            tenant_id: crate::task::Identifier::into(id("t")),
            user_id: id("u"),
            locale: "en-US",
            parameters,
        };
        Task::new(TaskId::new(1).unwrap(), new)
    }

    proptest! {
        #[test]
        fn status_never_goes_back_and_an_ended_task_never_changes(
            steps in steps(), is_import: bool
        ) {
            let mut task = task(is_import);
            for (second, step) in steps.iter().enumerate() {
                let before = task.clone();
                let now = Timestamp::from_second(second as i64).unwrap();
                let taken = task.take(step, now);
                prop_assert!(task.status as u8 >= before.status as u8);
                if taken.is_err() || before.ended_at.is_some() {
                    prop_assert_eq!(&task, &before);
                }
            }
        }

        #[test]
        fn times_and_code_are_there_exactly_when_the_status_says_so(
            steps in steps(), is_import: bool
        ) {
            let mut task = task(is_import);
            for step in &steps {
                let _ = task.take(step, Timestamp::UNIX_EPOCH);
                prop_assert_eq!(task.started_at.is_some(), task.status != TaskStatus::New);
                let ended = matches!(task.status, TaskStatus::Success | TaskStatus::Failed);
                prop_assert_eq!(task.ended_at.is_some(), ended);
                prop_assert_eq!(task.result_code.is_some(), task.status == TaskStatus::Failed);
            }
        }
    }
}
