//! The last requests, and why some were refused.

use std::sync::Arc;

use jiff::Timestamp;
use maud::{Markup, html};

use super::super::super::journal::{Entry, Refusal};
use super::super::content::REQUESTS;
use super::super::snippets;
use super::super::view::{Link, View};
use super::tasks::number;
use super::time::ago;
use super::{news, snippet};

/// The requests.
pub(super) fn list(view: &View, base: &str, entries: &[Arc<Entry>], now: Timestamp) -> Markup {
    html! {
        section.requests {
            (news("requests"))
            table #requests data-more[entries.len() >= REQUESTS] {
                caption { h2 { "Requests" } }
                thead { tr {
                    th scope="col" { "No." }
                    @if view.is_of_all() { th scope="col" { "Tenant" } }
                    th scope="col" { "When" }
                    th scope="col" { "Request" }
                    th scope="col" { "Answer" }
                    th scope="col" { "Task" }
                    th scope="col" { "What came of it" }
                } }
                tbody { @for entry in entries { (row(view, base, entry, now)) } }
            }
            p #no-requests.empty { "No requests yet." }
        }
    }
}

/// A request in the list.
pub(super) fn row(view: &View, base: &str, entry: &Entry, now: Timestamp) -> Markup {
    let Entry { seq, tenant, .. } = entry;
    let at: Option<Timestamp> = entry.at.parse().ok();
    // Numbers of several tenants have no order.
    let order = (!view.is_of_all()).then_some(seq);
    html! {
        tr id={ "request-" (tenant) "-" (seq) } data-id=[order] data-fits {
            th scope="row" { (seq) }
            @if view.is_of_all() { td { (tenant) } }
            td { @if let Some(at) = at { (ago(at, now)) } }
            td.request { (entry.method) " " (entry.call.unwrap_or(&entry.path)) }
            td.answer { (answer(entry)) }
            td {
                @if let Some(id) = &entry.task_id {
                    a.task href={ (task(view, entry, id)) "#task" } { (number(id)) }
                }
            }
            td.story { details {
                summary { (story(entry)) }
                (whole(base, entry))
            } }
        }
    }
}

fn answer(entry: &Entry) -> Markup {
    let is_bad = !(200..300).contains(&entry.status);
    html! {
        span class=[is_bad.then_some("bad")] { (entry.status) }
        span.time { " · " (format!("{:.1}", entry.duration_ms)) " ms" }
    }
}

/// What came of it, in a line.
fn story(entry: &Entry) -> Markup {
    let refused = entry.refused.as_ref();
    let why = refused.map(|refused| refused.hints.first().unwrap_or(&refused.reason));
    html! {
        (entry.outcome)
        @if let Some(rule) = &entry.rule { " · rule " (rule) }
        @if let Some(why) = why { " · " span.why { (why) } }
    }
}

fn task(view: &View, entry: &Entry, id: &str) -> Link {
    let link = view.link().without(&["rows"]);
    link.with("tenant", Some(&entry.tenant))
        .with("task", Some(id))
}

/// All that there is to know of it.
fn whole(base: &str, entry: &Entry) -> Markup {
    let id = |what: &str| format!("{what}-{}-{}", entry.tenant, entry.seq);
    let query = entry.query.as_ref().map(|query| format!("?{query}"));
    html! {
        dl {
            dt { "Target" } dd.id { (entry.path) (query.unwrap_or_default()) }
            dt { "Credential" } dd {
                (entry.credential.kind)
                @if let Some(app) = &entry.credential.app { " of " (app) }
            }
            dt { "Code" } dd { (entry.code) }
            dt { "X-Traceid" } dd.id { (entry.trace_id) }
        }
        @if let Some(refused) = &entry.refused { (explanation(refused)) }
        h3 { "As curl" }
        (snippet(&id("curl"), &snippets::curl(entry, base), "Copy as curl"))
        h3 { "As a matcher, for journal/verify" }
        (snippet(&id("matcher"), &snippets::matcher(entry), "Copy matcher"))
        p { a href={ "journal/" (entry.seq) "?tenant=" (entry.tenant) } { "The whole entry as JSON" } }
    }
}

/// Why it was refused.
fn explanation(refused: &Refusal) -> Markup {
    html! {
        h3 { "Refused" }
        p { (refused.reason) }
        @if !refused.hints.is_empty() {
            ul { @for hint in &refused.hints { li { (hint) } } }
        }
        @if let Some(request) = &refused.canonical_request {
            p { "The canonical request, as it came:" }
            pre { (request) }
        }
        @if let Some(string) = &refused.string_to_sign {
            p { "The string to sign:" }
            pre { (string) }
        }
    }
}
