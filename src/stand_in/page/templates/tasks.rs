//! The list of tasks, and what chooses them.

use jiff::Timestamp;
use maud::{Markup, html};

use super::super::super::choice::Choice;
use super::super::super::seed::Status;
use super::super::content::{Content, Counts};
use super::super::snippets;
use super::super::view::{View, names};
use super::time::ago;
use super::{news, snippet};
use crate::task::{Task, TaskParameters, TaskStatus, TaskType};

/// A status with a mark of its own: never by its colour alone.
pub(super) fn status(task: &Task) -> Markup {
    let name = Status::from(task.status).name();
    let mark = match task.status {
        TaskStatus::New => "○",
        TaskStatus::Waiting => "◷",
        TaskStatus::Executing => "◐",
        TaskStatus::Success => "✓",
        TaskStatus::Failed => "✕",
    };
    html! {
        span.status data-status=(name) { span aria-hidden="true" { (mark) } " " (name) }
    }
}

/// The statuses to choose from, each with how many tasks are in it.
pub(super) fn statuses(view: &View, counts: Option<&Counts>) -> Markup {
    let chosen = &view.choice.statuses;
    let count = |meant: &[TaskStatus]| {
        let counts = counts?.iter();
        let counts = counts.filter(|(of, _)| meant.is_empty() || meant.contains(of));
        Some(counts.map(|(_, count)| count).sum::<usize>())
    };
    let link = view.link().without(&["before"]);
    let choice = |name: &str, meant: &[TaskStatus]| {
        let is_chosen = chosen.as_slice() == meant;
        let query = link.clone().with("status", names(meant));
        html! {
            li { a href=(query) aria-current=[is_chosen.then_some("true")] {
                (name) @if let Some(count) = count(meant) { " " b { (count) } }
            } }
        }
    };
    html! {
        nav #statuses data-part aria-label="Status" { ul {
            (choice("All", &[]))
            // As KooDrive's calls show one that waits to be tried again.
            (choice("New", &[TaskStatus::New, TaskStatus::Waiting]))
            (choice("Executing", &[TaskStatus::Executing]))
            (choice("Success", &[TaskStatus::Success]))
            (choice("Failed", &[TaskStatus::Failed]))
        } }
    }
}

/// What else chooses tasks.
pub(super) fn search(view: &View) -> Markup {
    let Choice {
        task_type, text, ..
    } = &view.choice;
    let rest = view.link().without(&["type", "q", "before"]);
    let option = |value: &str, name: &str, kind: Option<TaskType>| {
        html! { option value=(value) selected[*task_type == kind] { (name) } }
    };
    html! {
        form #search role="search" method="get" {
            @for (name, value) in rest.pairs() { input type="hidden" name=(name) value=(value); }
            label for="type" { "type" }
            select #type name="type" {
                (option("", "any", None))
                (option("0", "0 transfer", Some(TaskType::TransferAndDeletion)))
                (option("1", "1 import", Some(TaskType::BatchImport)))
            }
            label for="q" { "find" }
            input #q name="q" type="search" value=[text.as_ref()] placeholder="id, user" size="14"
                autocomplete="off" spellcheck="false" aria-keyshortcuts="/";
            button { "Apply" }
        }
    }
}

/// The tasks.
pub(super) fn list(content: &Content) -> Markup {
    let Content { view, clock, .. } = content;
    let older = content.tasks.last().filter(|_| content.has_more);
    let link = view.link();
    html! {
        section.tasks {
            (news("tasks"))
            table #tasks data-more[content.has_more] {
                caption { h2 { "Tasks" } }
                thead { tr {
                    th scope="col" { "Id" }
                    th scope="col" { "Status" }
                    th scope="col" { "What" }
                    @if view.is_of_all() { th scope="col" { "Tenant" } }
                    th scope="col" { "Created" }
                } }
                tbody { @for task in &content.tasks { (row(view, task, clock.now)) } }
            }
            (empty(content))
            p #pages.pages data-part {
                @if view.choice.before.is_some() {
                    a href=(link.clone().without(&["before"])) { "Newest" }
                }
                @if let Some(last) = older {
                    a href=(link.with("before", Some(last.id))) { "Older" }
                }
            }
        }
    }
}

/// What is shown in place of tasks.
fn empty(content: &Content) -> Markup {
    let view = &content.view;
    let choice = ["status", "type", "q", "before"];
    let is_choice = view
        .link()
        .pairs()
        .iter()
        .any(|(name, _)| choice.contains(name));
    html! {
        div #no-tasks.empty data-part {
            @if is_choice {
                h2 { "No such task" }
                p { a href=(view.link().without(&choice)) { "Show all tasks" } }
            } @else {
                h2 { "No tasks yet" }
                p { "Create one, and it comes here:" }
                (snippet("first-create", &snippets::create(&content.base, view.tenant()), "Copy"))
            }
        }
    }
}

/// A task in the list; with `data-fits` if it is among those that are chosen.
pub(super) fn row(view: &View, task: &Task, now: Timestamp) -> Markup {
    let id = task.id.to_string();
    let is_open = view.task == Some(task.id);
    let link = view.link().without(&["rows"]).with("task", Some(task.id));
    // An id may be there for several tenants, so each opens as its tenant's.
    let link = link.with("tenant", Some(task.tenant_id.as_str()));
    html! {
        tr id={ "task-" (task.tenant_id.as_str()) "-" (id) } data-id=(id)
            data-fits[view.choice.has(task)] class=[is_open.then_some("open")] {
            th scope="row" {
                a.task href={ (link) "#task" } aria-current=[is_open.then_some("true")] {
                    (number(&id))
                }
            }
            td {
                (status(task))
                @if let Some(code) = task.result_code { " " span.code { (code) } }
            }
            td.what { (what(&task.parameters)) }
            @if view.is_of_all() { td { (task.tenant_id.as_str()) } }
            td { (ago(task.id.created_at(), now)) }
        }
    }
}

/// A task's id, of which a narrow page shows the last digits.
pub(super) fn number(id: &str) -> Markup {
    let head = id.len().saturating_sub(6);
    let (head, tail) = id.split_at_checked(head).unwrap_or(("", id));
    html! { span.head { (head) } (tail) }
}

fn what(parameters: &TaskParameters) -> Markup {
    match parameters {
        TaskParameters::Transfer {
            src_user_id,
            dst_user_id,
        } => html! {
            span.id title=(src_user_id) { (src_user_id) } " → "
            span.id title=(dst_user_id) { (dst_user_id) }
        },
        TaskParameters::BatchImport {
            result_id, org_id, ..
        } => html! {
            "import " span.id title=(result_id) { (result_id) } " into "
            span.id title=(org_id) { (org_id) }
        },
    }
}
