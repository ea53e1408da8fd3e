//! Commands and claims: a queue each, and one task with a connection of its own that
//! takes what waits as a batch; and another for the most frequent of commands.
//!
//! ```text
//! apply ──> commands ─┐              ┌─ rows locked, Task::apply in Rust ─┐
//! claim ──> claims ───┴─> writer ──> │ one statement for each table       │ ──> answers
//! created, looks ──> supply ─────────┴─ one commit ───────────────────────┘
//!
//! apply ──> completions ──> writer of completions: one statement ──> answers
//!                             └─ what it cannot do ──> commands
//! ```
//!
//! Whether a task is another's is settled by its row's lock and its fence, and when a
//! lease ends by the database's clock: instances need not know of each other.

mod changes;
mod claims;
mod commands;
mod completions;
mod fresh;
mod leases;
mod rows;
mod supply;
mod transaction;
mod writer;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub(super) use self::completions::CompletionWriter;
pub(super) use self::fresh::Fresh;
use self::leases::HoldingChanges;
pub(super) use self::writer::TransitionWriter;
use crate::store::given::Given;
use crate::store::outlook::Board;
use crate::store::queue::Queue;
use crate::task::Task;
use crate::task::claim::{ClaimError, ClaimRequest};
use crate::task::health::Due;
use crate::task::life_cycle::Command;
use crate::task::repository::ApplyError;
use crate::task::scope::Target;

/// A command, and the task that it is for.
pub(super) struct Transition {
    target: Target,
    command: Command,
}

/// The task after a command.
type Applied = Result<Task, ApplyError>;
/// What a claim got.
type Claimed = Result<Vec<Task>, ClaimError>;

/// What waits for the writers of transitions.
#[derive(Default)]
pub(super) struct Transitions {
    commands: Queue<Transition, Applied>,
    /// Commands that complete tasks which were known.
    completions: Queue<Transition, Applied>,
    given: Mutex<Given>,
    /// By completions.
    completed: HoldingChanges,
    claims: Queue<ClaimRequest, Claimed>,
    fresh: Arc<Fresh>,
    board: Board,
    /// Cancelled when nobody shall wait for long any more.
    draining: CancellationToken,
}

impl Transitions {
    /// Where creates are told of.
    pub(super) fn fresh(&self) -> Arc<Fresh> {
        Arc::clone(&self.fresh)
    }

    /// The tasks that this instance has given to workers, as its commits left them.
    fn given(&self) -> MutexGuard<'_, Given> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn apply(&self, target: Target, command: Command) -> Applied {
        let completes = matches!(command, Command::Complete { .. });
        let queue = if completes && self.given().get(target.id).is_some() {
            &self.completions
        } else {
            &self.commands
        };
        let pending = queue.place()?.take(Transition { target, command });
        pending.committed().await?
    }

    pub(super) async fn claim(&self, request: ClaimRequest) -> Claimed {
        let pending = self.claims.place()?.take(request);
        pending.committed().await?
    }

    /// What there is to be executed, by the process's clock; nothing before the database
    /// was looked at.
    pub(super) fn due(&self, now: Timestamp) -> Vec<Due> {
        self.board.due(now)
    }

    /// Has those who wait answered, and lets nobody wait for long from now on.
    pub(super) fn drain(&self) {
        self.draining.cancel();
    }

    /// Takes no more; what waits is still done, but for claims, which get nothing.
    pub(super) fn close(&self) {
        // That of commands is closed when no completion may be left to them any more.
        self.completions.close();
        self.claims.close();
    }
}
