//! The failures call's query.

use std::fmt;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde_json::json;
use utoipa::openapi::path::ParameterBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::task::attempt::Fence;
use crate::web::call::{query, schema};
use crate::web::error::{ApiError, Reason};
use crate::web::json;
use crate::web::query::Query;

/// The most failures of a page, and as many as there are without `pageSize`.
const MAX_PAGE_SIZE: u32 = 1000;

/// The parameters as the document shows them.
pub(super) fn parameters() -> [ParameterBuilder; 2] {
    let page_size = schema::integer()
        .minimum(Some(1))
        .maximum(Some(MAX_PAGE_SIZE))
        .default(Some(json!(MAX_PAGE_SIZE)));
    let cursor = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[0-9]{1,9}-[0-9]{1,18}$"));
    [
        query("pageSize", page_size).description(Some("The most failures of a page.")),
        query("pageCursor", cursor).description(Some(
            "The `nextCursor` of the page before. When another attempt has begun since it is \
             refused, for the failures are others.",
        )),
    ]
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The attempt that the failures are of.
    pub(super) fence: Fence,
    /// The position of the page's first, from 0.
    pub(super) next: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.fence.get(), self.next)
    }
}

impl FromStr for Cursor {
    type Err = Reason;

    fn from_str(text: &str) -> Result<Self, Reason> {
        // What is parsed would also take a sign.
        let is_plain = text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-');
        let (fence, next) = text.split_once('-').ok_or(Reason::NotACursor)?;
        match (fence.parse(), next.parse()) {
            (Ok(fence), Ok(next)) if is_plain => Ok(Self {
                fence: Fence::new(fence),
                next,
            }),
            _ => Err(Reason::NotACursor),
        }
    }
}

/// The page that a query asks for.
pub(super) struct FailuresQuery {
    pub(super) after: Option<Cursor>,
    /// The most failures, 1–1000.
    pub(super) size: u32,
}

impl<S: Sync> FromRequestParts<S> for FailuresQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let mut query = Query::parse(parts.uri.query());
        let size = query.one("pageSize", |text| {
            let size = json::integer(text).and_then(|number| u32::try_from(number).ok());
            size.filter(|size| (1..=MAX_PAGE_SIZE).contains(size))
                .ok_or(Reason::NotInRange {
                    lowest: 1,
                    highest: MAX_PAGE_SIZE.into(),
                })
        });
        let after = query.one("pageCursor", str::parse);
        query.finish(Self {
            after,
            size: size.unwrap_or(MAX_PAGE_SIZE),
        })
    }
}
