//! A worker's JSON body, read and checked whole.

use axum::extract::{FromRequest, Request};
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::task::attempt::Fence;
use crate::task::import::ImportCounts;
use crate::web::call::schema;
use crate::web::context::RequestContext;
use crate::web::error::{ApiError, Reason, Violation, Violations};
use crate::web::json::{self, Object};

/// What a call's body says.
pub(super) trait Body: ToSchema + Sized + Send {
    /// Reads the fields, and notes what is wrong with each; `None` only if
    /// something is. Fields that nobody asks for are ignored.
    fn read(fields: &Object<'_>, wrong: &mut Violations) -> Option<Self>;
}

/// A body as a handler's argument.
pub(super) struct Valid<T>(pub(super) T);

impl<S: Sync, T: Body> FromRequest<S> for Valid<T> {
    type Rejection = ApiError;

    fn from_request(
        request: Request,
        _: &S,
    ) -> impl Future<Output = Result<Self, ApiError>> + Send {
        // Here, or the future has room for the request and for its parts.
        let (parts, body) = request.into_parts();
        async move {
            let context = RequestContext::of(&parts.extensions)?;
            let bytes = json::read(&parts.headers, body, &context).await?;
            let mut wrong = Violations::default();
            let read = T::read(&Object::parse(&bytes)?, &mut wrong);
            read.filter(|_| wrong.is_empty())
                .map(Self)
                .ok_or(ApiError::InvalidParameters(wrong))
        }
    }
}

/// The field `fence`.
pub(super) fn fence(fields: &Object<'_>, wrong: &mut Violations) -> Option<Fence> {
    let number = fields.integer_within("fence", 1..=u32::MAX.into());
    let number = number.and_then(|number| number.ok_or(Violation::new("fence", Reason::Missing)));
    let number = wrong.keep(number)?;
    u32::try_from(number).ok().map(Fence::new)
}

/// The fields `successCount` and `failCount`; none unless one is there, and then
/// both must be.
pub(super) fn counts(fields: &Object<'_>, wrong: &mut Violations) -> Option<Option<ImportCounts>> {
    let mut count = |field| {
        let count = fields.integer_within(field, 0..=i64::MAX);
        Some(
            wrong
                .keep(count)?
                .map(|count| (field, count.unsigned_abs())),
        )
    };
    match (count("successCount")?, count("failCount")?) {
        (None, None) => Some(None),
        (Some((_, succeeded)), Some((_, failed))) => Some(Some(ImportCounts { succeeded, failed })),
        (Some(_), None) => {
            wrong.add(Violation::new("failCount", Reason::Missing));
            None
        }
        (None, Some(_)) => {
            wrong.add(Violation::new("successCount", Reason::Missing));
            None
        }
    }
}

/// The schema of an object with the field `fence`.
pub(super) fn with_fence() -> ObjectBuilder {
    let fence = schema::integer()
        .minimum(Some(1))
        .maximum(Some(u32::MAX))
        .description(Some("As the claim answered it."));
    ObjectBuilder::new()
        .property("fence", fence)
        .required("fence")
}

/// Adds the fields `successCount` and `failCount`.
pub(super) fn and_counts(object: ObjectBuilder) -> ObjectBuilder {
    let count = |what: &str| {
        schema::or_null(schema::integer(), Type::Integer)
            .minimum(Some(0))
            .maximum(Some(i64::MAX))
            .description(Some(format!(
                "How many users of an import were {what} so far. Give both counts or none."
            )))
            .examples([json!(0)])
    };
    object
        .property("successCount", count("taken"))
        .property("failCount", count("not taken"))
}
