//! The open task.

use jiff::Timestamp;
use maud::{Markup, html};

use super::super::super::leading::USUAL_CODE;
use super::super::super::progress::Wait;
use super::super::super::world::Life;
use super::super::content::{Open, OpenTask, ROWS};
use super::super::view::View;
use super::tasks::status;
use super::time::{ago, utc};
use crate::task::attempt::AttemptEnd;
use crate::task::import::ImportFailure;
use crate::task::{Task, TaskParameters, TaskStatus, TaskType};

/// The open task; nothing if none is.
pub(super) fn panel(view: &View, open: Option<&Open>, now: Timestamp) -> Markup {
    let close = view.link().without(&["task", "rows"]);
    let id = match open {
        None => return html! { section #task data-part hidden {} },
        Some(Open::Gone(id)) => *id,
        Some(Open::There(open)) => open.task.id,
    };
    html! {
        section #task.panel data-part tabindex="-1" aria-labelledby="open-title" {
            header {
                h2 #open-title { "Task " span.number { (id) } }
                a.button data-copy href={ (view.link().without(&["rows"])) "#task" } { "Copy link" }
                a.button.close href=(close) aria-keyshortcuts="Escape" { "Close" }
            }
            @match open {
                Some(Open::There(open)) => (there(view, open, now)),
                _ => p { "There is no such task, or not any more." },
            }
        }
    }
}

fn there(view: &View, open: &OpenTask, now: Timestamp) -> Markup {
    let task = &open.task;
    html! {
        p.state {
            (status(task))
            @if let Some(code) = task.result_code { " " span.code { (code) } }
            @if let Some(life) = &open.life { (ahead(task, life, now)) }
            @if task.cancel_requested { " · cancel requested" }
        }
        (buttons(view, task))
        (parameters(task))
        (times(task, now))
        (attempts(open, now))
        @if task.parameters.task_type() == TaskType::BatchImport { (result(view, open)) }
    }
}

/// What ends the present status, and which rule says so.
fn ahead(task: &Task, life: &Life, now: Timestamp) -> Markup {
    html! {
        @if !task.status.has_ended() {
            " · "
            @match (life.wait(task.status), life.due()) {
                (Wait::Polls(most), _) => { "seen in " (life.polls) " of " (most) " polls" },
                (_, Some(due)) => { "goes on " (ago(due, now)) },
                _ => "goes on by hand",
            }
        }
        @if let Some(rule) = &life.rule { " · rule " (rule) }
    }
}

/// What leads a task on. Buttons stay where they are when it has ended.
fn buttons(view: &View, task: &Task) -> Markup {
    let has_ended = task.status.has_ended();
    let is_new = matches!(task.status, TaskStatus::New | TaskStatus::Waiting);
    html! {
        form.lead method="post" action=(view.link()) {
            button name="do" value="start" disabled[!is_new] { "Start" }
            button name="do" value="complete" disabled[has_ended] { "Complete" }
        }
        form.lead method="post" action=(view.link()) {
            label for="result-code" { "Fail with" }
            input #result-code name="resultCode" value=(USUAL_CODE) inputmode="numeric"
                pattern="18[0-9]{6}" title="18 and six more digits" size="8" required
                autocomplete="off" disabled[has_ended];
            button name="do" value="fail" disabled[has_ended] { "Fail" }
        }
    }
}

fn parameters(task: &Task) -> Markup {
    let rows = match &task.parameters {
        TaskParameters::Transfer {
            src_user_id,
            dst_user_id,
        } => vec![
            ("taskType", "0"),
            ("srcUserId", src_user_id.as_str()),
            ("dstUserId", dst_user_id.as_str()),
        ],
        TaskParameters::BatchImport {
            result_id,
            org_id,
            org_user_id,
        } => vec![
            ("taskType", "1"),
            ("resultId", result_id.as_str()),
            ("orgId", org_id.as_str()),
            ("orgUserId", org_user_id.as_str()),
        ],
    };
    html! {
        h3 { "Parameters" }
        dl {
            @for (name, value) in rows { dt { (name) } dd.id { (value) } }
            dt { "X-User-Id" } dd.id { (task.user_id) }
            @if let Some(name) = &task.created_by { dt { "credential" } dd.id { (name) } }
            dt { "language" } dd { (task.locale) }
        }
    }
}

fn times(task: &Task, now: Timestamp) -> Markup {
    // All of them, so that nothing below moves when one comes.
    let moments = [
        ("created", Some(task.id.created_at())),
        ("started", task.started_at),
        ("ended", task.ended_at),
    ];
    let due = task.due_at.map(|due| ("due again", Some(due)));
    html! {
        h3 { "Times" }
        dl {
            @for (name, at) in moments.into_iter().chain(due) {
                dt { (name) }
                dd { @if let Some(at) = at { (utc(at)) " · " (ago(at, now)) } @else { "–" } }
            }
        }
    }
}

/// The attempts of workers.
fn attempts(open: &OpenTask, now: Timestamp) -> Markup {
    let OpenTask { task, history, .. } = open;
    let is_known = history
        .attempts
        .iter()
        .any(|ended| ended.fence == task.fence);
    let own = task.attempt.as_ref().filter(|_| !is_known);
    html! {
        @if own.is_some() || !history.attempts.is_empty() {
            table.attempts {
                caption { h3 { "Attempts" } }
                thead { tr {
                    th scope="col" { "No." }
                    th scope="col" { "Worker" }
                    th scope="col" { "Began" }
                    th scope="col" { "Outcome" }
                } }
                tbody {
                    @for ended in &history.attempts {
                        tr {
                            th scope="row" { (ended.fence.get()) }
                            td.id { (ended.worker) }
                            td { (ago(ended.started_at, now)) }
                            td {
                                (outcome(ended.end)) " " (ago(ended.ended_at, now))
                                @if let Some(code) = ended.code { " " span.code { (code) } }
                            }
                        }
                    }
                    @if let Some(attempt) = own {
                        tr {
                            th scope="row" { (task.fence.get()) }
                            td.id { (attempt.claim.worker) }
                            td { (ago(attempt.started_at, now)) }
                            td { (running(task.status)) }
                        }
                    }
                }
            }
        }
    }
}

const fn outcome(end: AttemptEnd) -> &'static str {
    match end {
        AttemptEnd::Succeeded => "succeeded",
        AttemptEnd::Failed => "failed",
        AttemptEnd::Released => "given back",
        AttemptEnd::Lost => "lost",
    }
}

const fn running(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::Success => outcome(AttemptEnd::Succeeded),
        TaskStatus::Failed => outcome(AttemptEnd::Failed),
        TaskStatus::New | TaskStatus::Waiting | TaskStatus::Executing => "running",
    }
}

/// What an import has done, and a page of its failed rows.
fn result(view: &View, open: &OpenTask) -> Markup {
    let counts = open.task.counts;
    let (first, page) = (view.rows, u64::from(ROWS));
    let shown = open.rows.iter().take(ROWS as usize);
    let has_more = open.rows.len() > ROWS as usize;
    let link = |from: u64| {
        view.link()
            .with("rows", Some(from).filter(|from| *from > 0))
    };
    html! {
        h3 { "Result" }
        p { b { (counts.succeeded) } " imported, " b { (counts.failed) } " not" }
        @if !open.rows.is_empty() {
            table #rows.rows {
                caption { "Not imported, from row " (first.saturating_add(1)) " on" }
                thead { tr {
                    th scope="col" { "No." } th scope="col" { "User" } th scope="col" { "Why" }
                } }
                tbody {
                    @for (row, number) in shown.zip(first.saturating_add(1)..) {
                        (failed_row(number, row))
                    }
                }
            }
        }
        p.pages {
            @if first > 0 { a href={ (link(first.saturating_sub(page))) "#rows" } { "Previous rows" } }
            @if has_more { a href={ (link(first.saturating_add(page))) "#rows" } { "Next rows" } }
        }
    }
}

fn failed_row(number: u64, row: &ImportFailure) -> Markup {
    html! {
        tr { th scope="row" { (number) } td.id { (row.user_name) } td { (row.description) } }
    }
}
