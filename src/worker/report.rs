//! A worker's report on the attempt that it makes.

use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::WorkerCaller;
use crate::task::attempt::Fence;
use crate::task::life_cycle::{Command, Refusal, RefusalReason, Report};
use crate::task::repository::ApplyError;
use crate::task::scope::Target;
use crate::task::{Task, TaskId, TaskService};
use crate::web::error::{ApiError, Reason, Violation};
use crate::web::path::PathParameter;

/// What is answered where there is nothing to tell.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Done)]
pub(super) struct Done {}

/// A report on the attempt with this fence, of this worker.
pub(super) fn report(worker: &WorkerCaller, fence: Fence) -> Report {
    Report {
        fence,
        holder: worker.name.clone(),
    }
}

/// Applies a worker's command to a task of its scope.
///
/// # Errors
///
/// [`ApiError::TaskNotFound`] outside the scope, [`refused`], and those of a store.
pub(super) async fn apply(
    tasks: &TaskService,
    worker: WorkerCaller,
    id: TaskId,
    command: Command,
) -> Result<Task, ApiError> {
    let scope = worker.scope;
    let applied = tasks.apply(Target { id, scope }, command).await;
    applied.map_err(|error| match error {
        ApplyError::NoTask => ApiError::TaskNotFound,
        ApplyError::Refused(refusal) => refused(refusal),
        ApplyError::Store(error) => error.into(),
    })
}

/// Why a report changes nothing, field by field.
fn refused(refusal: Refusal) -> ApiError {
    let of_fence = |reason| ApiError::ReportRefused(Violation::new("fence", reason).into());
    match refusal.reason {
        RefusalReason::Superseded => of_fence(Reason::Superseded),
        RefusalReason::AttemptOver | RefusalReason::Status => of_fence(Reason::AttemptOver),
        RefusalReason::Ended => of_fence(Reason::TaskEnded),
        RefusalReason::Gap { next } => {
            ApiError::ReportRefused(Violation::new("from", Reason::Gap { next }).into())
        }
        RefusalReason::NotABatchImport => {
            Violation::new(TaskId::NAME, Reason::NotABatchImport).into()
        }
    }
}

/// A report that changes nothing, as an example.
pub(super) fn superseded() -> ApiError {
    ApiError::ReportRefused(Violation::new("fence", Reason::Superseded).into())
}
