//! What a page shows, as its URL says it, and the URLs of others.

use std::fmt;

use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::answer::{self, Refused, Whose};
use super::super::choice::Choice;
use super::super::seed::Status;
use crate::task::{TaskId, TaskStatus, TaskType};

/// What is written in a query as it is.
const PLAIN: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b',')
    .remove(b'*');

/// What a page shows.
#[derive(Clone)]
pub(super) struct View {
    /// Whose tasks and requests.
    pub(super) whose: Whose,
    /// Which tasks.
    pub(super) choice: Choice,
    /// The open one.
    pub(super) task: Option<TaskId>,
    /// The position, from 0, of the first of its failed rows.
    pub(super) rows: u64,
}

impl View {
    /// What this URL asks for.
    pub(super) fn of(parts: &Parts) -> Result<Self, Refused> {
        Ok(Self {
            whose: Whose::of(parts)?,
            choice: Choice::of(parts)?,
            task: answer::parsed(parts, "task")?,
            rows: answer::parsed(parts, "rows")?.unwrap_or(0),
        })
    }

    /// The tenant as in a URL: its name, or `*`.
    pub(super) fn tenant(&self) -> &str {
        match &self.whose {
            Whose::One(id) => id.as_str(),
            Whose::All => "*",
        }
    }

    /// Whether it shows the tasks of all tenants.
    pub(super) fn is_of_all(&self) -> bool {
        matches!(self.whose, Whose::All)
    }

    /// The URL of this view.
    pub(super) fn link(&self) -> Link {
        let Choice {
            task_type,
            statuses,
            text,
            before,
        } = &self.choice;
        let kind = task_type.map(|kind| match kind {
            TaskType::TransferAndDeletion => "0",
            TaskType::BatchImport => "1",
        });
        let rows = (self.rows > 0).then_some(self.rows);
        Link(Vec::new())
            .with("tenant", Some(self.tenant()))
            .with("status", names(statuses))
            .with("type", kind)
            .with("q", text.as_ref())
            .with("before", *before)
            .with("task", self.task)
            .with("rows", rows)
    }
}

/// Statuses as in a URL, if there are any.
pub(super) fn names(statuses: &[TaskStatus]) -> Option<String> {
    let names = statuses.iter().map(|status| Status::from(*status).name());
    let names = names.collect::<Vec<_>>();
    (!names.is_empty()).then(|| names.join(","))
}

/// A link to a view: what its query says.
#[derive(Clone)]
pub(super) struct Link(Vec<(&'static str, String)>);

impl Link {
    /// The same view but for this; without it if there is no value.
    pub(super) fn with(mut self, name: &'static str, value: Option<impl fmt::Display>) -> Self {
        self.0.retain(|(other, _)| *other != name);
        self.0.extend(value.map(|value| (name, value.to_string())));
        self
    }

    /// The same view but for what these say.
    pub(super) fn without(mut self, names: &[&str]) -> Self {
        self.0.retain(|(name, _)| !names.contains(name));
        self
    }

    /// What it says, for the hidden fields of a form.
    pub(super) fn pairs(&self) -> &[(&'static str, String)] {
        &self.0
    }
}

impl fmt::Display for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = '?';
        for (name, value) in &self.0 {
            let value = utf8_percent_encode(value, &PLAIN);
            write!(formatter, "{separator}{name}={value}")?;
            separator = '&';
        }
        Ok(())
    }
}
