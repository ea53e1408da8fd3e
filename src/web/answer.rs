//! The answer to a call that succeeded.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use utoipa::openapi::schema::ObjectBuilder;
use utoipa::openapi::{KnownFormat, RefOr, Schema, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use super::call::schema;
use super::context::RequestContext;
use super::error::ApiError;

/// The media type of every body.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The `code` of every success.
const SUCCESS: u32 = 0;

/// What a call answers with: the fields of `T`, then `code` and `msg`; the
/// status is 200. An answer that cannot be written becomes
/// [`ApiError::Internal`].
#[derive(Debug, Serialize)]
pub struct Answer<T> {
    #[serde(flatten)]
    content: T,
    code: u32,
    msg: &'static str,
    #[serde(skip)]
    headers: HeaderMap,
}

impl<T> Answer<T> {
    /// The answer to the request of this context, in its language.
    #[must_use]
    pub fn new(context: &RequestContext, content: T) -> Self {
        Self {
            content,
            code: SUCCESS,
            msg: context.language().pick("Success.", "成功"),
            headers: HeaderMap::new(),
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(mut self) -> Response {
        match serde_json::to_vec(&self) {
            Ok(body) => {
                self.headers.insert(CONTENT_TYPE, JSON);
                (self.headers, body).into_response()
            }
            Err(error) => ApiError::internal(error).into_response(),
        }
    }
}

impl<T: ToSchema> ToSchema for Answer<T> {
    fn name() -> Cow<'static, str> {
        T::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        T::schemas(schemas);
    }
}

impl<T: ToSchema> PartialSchema for Answer<T> {
    fn schema() -> RefOr<Schema> {
        let RefOr::T(Schema::Object(content)) = T::schema() else {
            return T::schema();
        };
        let code = schema::integer()
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
            .maximum(Some(SUCCESS))
            .minimum(Some(SUCCESS));
        ObjectBuilder::from(content)
            .property("code", code)
            .property("msg", String::schema())
            .required("code")
            .required("msg")
            .into()
    }
}

#[cfg(test)]
mod tests {
    use serde::Serializer;
    use tokio::time::Instant;

    use super::*;
    use crate::web::context::RequestLimits;

    struct Unwritable;

    impl Serialize for Unwritable {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }

    fn answer<T: Serialize>(content: T) -> Response {
        let limits = RequestLimits {
            body: 0,
            timeout: std::time::Duration::ZERO,
        };
        let context = RequestContext::new(&HeaderMap::new(), None, limits, Instant::now());
        Answer::new(&context, content).into_response()
    }

    #[test]
    fn an_answer_that_cannot_be_written_is_500_and_not_an_empty_200() {
        assert_eq!(answer(Unwritable).status(), 500);
    }

    #[test]
    fn an_answer_that_can_be_written_is_200_and_json() {
        let response = answer(serde_json::json!({"a": 1}));
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    }
}
