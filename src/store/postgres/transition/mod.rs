//! Commands and claims: a queue each, and one task with a connection of its own that
//! takes what waits as a batch.
//!
//! ```text
//! apply ──> commands ─┐              ┌─ rows locked, Task::apply in Rust ─┐
//! claim ──> claims ───┴─> writer ──> │ one statement for each table       │ ──> answers
//! created, looks ──> supply ─────────┴─ one commit ───────────────────────┘
//! ```
//!
//! Whether a task is another's is settled by its row's lock and its fence, and when a
//! lease ends by the database's clock: instances need not know of each other.

mod changes;
mod claims;
mod commands;
mod fresh;
mod leases;
mod rows;
mod supply;
mod transaction;
mod writer;

use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub(super) use self::fresh::Fresh;
pub(super) use self::writer::TransitionWriter;
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

/// What waits for the writer of transitions.
#[derive(Default)]
pub(super) struct Transitions {
    commands: Queue<Transition, Applied>,
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

    pub(super) async fn apply(&self, target: Target, command: Command) -> Applied {
        let pending = self.commands.place()?.take(Transition { target, command });
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
        self.commands.close();
        self.claims.close();
    }
}
