//! The page's HTML. All text is escaped here, by maud; what the script shows is of
//! these templates too.

mod requests;
mod task;
mod tasks;
mod time;

use std::sync::Arc;

use maud::{DOCTYPE, Markup, html};

use super::super::journal::Entry;
use super::content::{Clock, Content, Counts, Open};
use super::view::View;
use crate::task::{Task, TenantId};

/// What has changed since the last update.
pub(super) struct Changed {
    pub(super) base: String,
    pub(super) clock: Clock,
    /// Whether the clock was turned.
    pub(super) has_turned: bool,
    /// Where tasks have changed.
    pub(super) counts: Option<Counts>,
    /// The newest first.
    pub(super) tasks: Vec<Task>,
    pub(super) open: Option<Open>,
    /// The newest first.
    pub(super) requests: Vec<Arc<Entry>>,
}

/// The whole page, with what could not be done.
pub(super) fn page(content: &Content, notice: Option<&str>) -> Markup {
    let Content { view, clock, .. } = content;
    let title = html! {
        "kootask dev · tenant " (view.tenant())
        @if let Some(id) = view.task { " · task " (id) }
    };
    document(
        title,
        content.event,
        html! {
            (header(content))
            main {
                (notice_of(notice))
                div.choice {
                    (tasks::statuses(view, content.counts.as_ref()))
                    (tasks::search(view))
                }
                div.columns {
                    (tasks::list(content))
                    (task::panel(view, content.open.as_ref(), clock.now))
                }
                (requests::list(view, &content.base, &content.requests, clock.now))
            }
            p #said role="status" {}
        },
    )
}

/// A page for a URL that is none.
pub(super) fn problem(text: &str) -> Markup {
    document(
        html! { "kootask dev" },
        0,
        html! {
            header { h1 { a href="./" { "kootask dev" } } }
            main { (notice_of(Some(text))) p { a href="./" { "All tasks" } } }
        },
    )
}

/// The parts of a page that have changed.
pub(super) fn changed(view: &View, changed: &Changed) -> Markup {
    let now = changed.clock.now;
    html! {
        @if changed.has_turned { (clock(view, changed.clock)) }
        @if let Some(counts) = &changed.counts { (tasks::statuses(view, Some(counts))) }
        table #tasks { tbody { @for task in &changed.tasks { (tasks::row(view, task, now)) } } }
        (task::panel(view, changed.open.as_ref(), now))
        table #requests { tbody { @for entry in &changed.requests {
            (requests::row(view, &changed.base, entry, now))
        } } }
    }
}

fn document(title: Markup, event: u64, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="stylesheet" href="page.css";
                script type="module" src="page.js" {}
            }
            body data-event=(event) { (body) }
        }
    }
}

fn header(content: &Content) -> Markup {
    let view = &content.view;
    html! {
        header.top {
            h1 { a href="./" { "kootask dev" } }
            form method="get" {
                label for="tenant" { "tenant" }
                select #tenant name="tenant" {
                    @for tenant in names(content) {
                        option value=(tenant) selected[tenant == view.tenant()] { (tenant) }
                    }
                    option value="*" selected[view.is_of_all()] { "all" }
                }
                button { "Switch" }
            }
            p.live {
                noscript { "as it was " a href=(view.link()) { "Reload" } }
                span #live.js data-live="wait" { span aria-hidden="true" { "●" } " " span #state { "connecting" } }
                button #pause.js type="button" { "Pause" }
            }
            (clock(view, content.clock))
            (reset(view))
        }
    }
}

/// The tenants to choose from: those that are there, this one among them.
fn names(content: &Content) -> impl Iterator<Item = &str> {
    content.tenants.iter().map(TenantId::as_str)
}

/// The clock and what turns it.
fn clock(view: &View, clock: Clock) -> Markup {
    let Clock { now, is_frozen } = clock;
    html! {
        form #clock data-part method="post" action=(view.link()) {
            span { "clock " time #now datetime=(now) title=(time::utc(now)) data-frozen[is_frozen] {
                (now.strftime("%H:%M:%SZ"))
            } }
            @if is_frozen {
                button name="do" value="run" { "Let run" }
            } @else {
                button name="do" value="freeze" { "Freeze" }
            }
            button name="do" value="advance" title="Go ahead by a minute" { "+1m" }
            button name="do" value="to-end" title="Go ahead until every task that comes on by time has ended" {
                "To end"
            }
        }
    }
}

/// A reset asks once.
fn reset(view: &View) -> Markup {
    let whose = match view.is_of_all() {
        true => "all tenants".to_owned(),
        false => format!("tenant {}", view.tenant()),
    };
    let back = view.link().without(&["task", "rows", "before"]);
    html! {
        details.sheet {
            summary { "Reset…" }
            form method="post" action=(back) {
                p { "Tasks, requests, rules and the clock of " (whose) " as at start?" }
                button name="do" value="reset" { "Reset " (whose) }
            }
        }
    }
}

fn notice_of(text: Option<&str>) -> Markup {
    html! {
        div #notice data-part role="alert" { @if let Some(text) = text { p { "Not done: " (text) } } }
    }
}

/// Where new rows of a table wait; the place is kept for them.
fn news(table: &str) -> Markup {
    html! { p.news.js { button type="button" hidden data-show=(table) {} } }
}

/// A text to be copied.
fn snippet(id: &str, text: &str, name: &str) -> Markup {
    html! {
        div.snippet {
            pre id=(id) { (text) }
            button.js type="button" data-copy=(id) { (name) }
        }
    }
}
