//! The list call's query.

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde_json::json;
use utoipa::openapi::path::{ParameterBuilder, ParameterStyle};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};

use crate::task::TaskId;
use crate::task::list::{Filter, Order, Page};
use crate::web::call::{query, schema};
use crate::web::error::{ApiError, Reason};
use crate::web::json;
use crate::web::query::{MAX_VALUES, Query};
use crate::wire::{StatusNumber, TaskTypeNumber};

/// The most tasks of a page, and as many as there are without `pageSize`.
const MAX_PAGE_SIZE: u16 = 100;

/// The parameters as the document shows them.
pub(super) fn parameters() -> [ParameterBuilder; 5] {
    let statuses = ArrayBuilder::new()
        .items(schema::of::<StatusNumber>())
        .max_items(Some(MAX_VALUES));
    let page_size = schema::integer()
        .minimum(Some(1))
        .maximum(Some(MAX_PAGE_SIZE))
        .default(Some(json!(MAX_PAGE_SIZE)));
    let order = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(["asc", "desc"]))
        .default(Some(json!("asc")));
    [
        query("taskType", schema::of::<TaskTypeNumber>())
            .description(Some("Only tasks of this type.")),
        query("status", statuses)
            .style(Some(ParameterStyle::Form))
            .explode(Some(true))
            .description(Some(
                "Only tasks in one of these statuses: `status=1&status=2` or `status=1,2`.",
            )),
        query("pageSize", page_size).description(Some("The most tasks of a page.")),
        query("pageCursor", schema::of::<TaskId>()).description(Some(
            "The `nextCursor` of the page before. Walking it gives every task that existed at \
             the start exactly once, whatever is created meanwhile.",
        )),
        query("order", order).description(Some("`asc`: oldest first; `desc`: newest first.")),
    ]
}

/// The page that a query asks for.
pub(super) struct ListQuery(Page);

impl ListQuery {
    /// The most tasks to show, 1–100.
    pub(super) const fn size(&self) -> u16 {
        self.0.limit
    }

    /// The page, with one task more: it tells whether there is a next page.
    pub(super) const fn into_page(self) -> Page {
        let mut page = self.0;
        page.limit = page.limit.saturating_add(1);
        page
    }
}

impl<S: Sync> FromRequestParts<S> for ListQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let mut query = Query::parse(parts.uri.query());
        let task_type = query.one("taskType", |text| {
            let number = json::integer(text).ok_or(Reason::NotAnInteger)?;
            TaskTypeNumber::task_type(number).ok_or(Reason::UnknownTaskType)
        });
        let statuses = query.list("status", |text| {
            let number = json::integer(text.trim()).ok_or(Reason::UnknownStatus)?;
            let mut statuses = StatusNumber::statuses(number).peekable();
            match statuses.peek() {
                Some(_) => Ok(statuses),
                None => Err(Reason::UnknownStatus),
            }
        });
        let statuses: Vec<_> = statuses.into_iter().flatten().collect();
        let size = query.one("pageSize", |text| {
            let size = json::integer(text).and_then(|number| u16::try_from(number).ok());
            size.filter(|size| (1..=MAX_PAGE_SIZE).contains(size))
                .ok_or(Reason::NotAPageSize)
        });
        let after: Option<TaskId> = query.one("pageCursor", |text| {
            text.parse().map_err(|_| Reason::NotACursor)
        });
        let order = query.one("order", |text| match text {
            "asc" => Ok(Order::Ascending),
            "desc" => Ok(Order::Descending),
            _ => Err(Reason::NotAnOrder),
        });
        query.finish(Self(Page {
            filter: Filter::new(task_type, &statuses),
            order: order.unwrap_or_default(),
            after,
            limit: size.unwrap_or(MAX_PAGE_SIZE),
        }))
    }
}
