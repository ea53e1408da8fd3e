//! What happened to a task: the tables `attempt` and `action`.

use jiff::Timestamp;

use super::{Code, CorruptRow};
use crate::task::attempt::{Action, ActionKind, Actor, AttemptEnd, EndedAttempt, Fence, History};
use crate::task::repository::StoreError;

/// The most attempts, and the most actions, that are read of a task.
pub(in crate::store) const MOST_OF_HISTORY: i64 = 1000;

/// The columns of `attempt`, in the order of [`AttemptRow::COLUMNS`].
#[derive(sqlx::FromRow)]
pub(in crate::store) struct AttemptRow {
    pub(in crate::store) task_id: i64,
    pub(in crate::store) fence: i64,
    pub(in crate::store) worker: String,
    pub(in crate::store) holder: String,
    pub(in crate::store) started_at: i64,
    pub(in crate::store) ended_at: i64,
    pub(in crate::store) how: i64,
    pub(in crate::store) code: Option<String>,
}

impl AttemptRow {
    /// What a query must select.
    pub(in crate::store) const COLUMNS: &'static str = "task_id, fence, worker, holder, started_at, \
         ended_at, CAST(how AS bigint) AS how, code";

    fn into_attempt(self) -> Result<EndedAttempt, CorruptRow> {
        let corrupt = |column| CorruptRow {
            id: self.task_id,
            column,
        };
        let time =
            |millis, column| Timestamp::from_millisecond(millis).map_err(|_| corrupt(column));
        let code = self.code.as_deref().map(str::parse).transpose();
        Ok(EndedAttempt {
            fence: Fence::new(u32::try_from(self.fence).map_err(|_| corrupt("fence"))?),
            worker: self.worker.parse().map_err(|_| corrupt("worker"))?,
            holder: self.holder.parse().map_err(|_| corrupt("holder"))?,
            started_at: time(self.started_at, "started_at")?,
            ended_at: time(self.ended_at, "ended_at")?,
            end: AttemptEnd::from_code(self.how).ok_or(corrupt("how"))?,
            code: code.map_err(|_| corrupt("code"))?,
        })
    }
}

/// The columns of `action`, in the order of [`ActionRow::COLUMNS`].
#[derive(sqlx::FromRow)]
pub(in crate::store) struct ActionRow {
    pub(in crate::store) task_id: i64,
    pub(in crate::store) at: i64,
    pub(in crate::store) kind: i64,
    pub(in crate::store) credential: Option<String>,
    pub(in crate::store) user_id: String,
}

impl ActionRow {
    /// What a query must select.
    pub(in crate::store) const COLUMNS: &'static str =
        "task_id, at, CAST(kind AS bigint) AS kind, credential, user_id";

    fn into_action(self) -> Result<Action, CorruptRow> {
        let corrupt = |column| CorruptRow {
            id: self.task_id,
            column,
        };
        let credential = self.credential.as_deref().map(str::parse).transpose();
        Ok(Action {
            kind: ActionKind::from_code(self.kind).ok_or(corrupt("kind"))?,
            actor: Actor {
                credential: credential.map_err(|_| corrupt("credential"))?,
                user_id: self.user_id.parse().map_err(|_| corrupt("user_id"))?,
            },
            at: Timestamp::from_millisecond(self.at).map_err(|_| corrupt("at"))?,
        })
    }
}

/// What happened to a task, from its newest rows, newest first.
pub(in crate::store) fn history(
    attempts: Vec<AttemptRow>,
    actions: Vec<ActionRow>,
) -> Result<History, StoreError> {
    let attempts = attempts.into_iter().rev().map(AttemptRow::into_attempt);
    let actions = actions.into_iter().rev().map(ActionRow::into_action);
    Ok(History {
        attempts: attempts.collect::<Result<_, _>>()?,
        actions: actions.collect::<Result<_, _>>()?,
    })
}
