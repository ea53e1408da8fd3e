//! A call as it is declared beside its handler: its route, and what the document
//! says of it.

use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::link::{Link, LinkBuilder};
use utoipa::openapi::path::{HttpMethod, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, RefOr, Required, Schema};

use super::response::{self, JSON};
use super::{Access, schema};
use crate::web::answer::Answer;
use crate::web::error::{ApiError, Malformed, Reason, Violation};

/// One call: a method of a path.
///
/// ```
/// use kootask::web::call::{Access, Call, Calls};
///
/// async fn ping() -> &'static str {
///     "pong"
/// }
///
/// let call = Call::<()>::get(Access::Anyone, "/ping", ping)
///     .named("ping", "Ask for an answer", "The answer is always the same.");
/// let calls = Calls::tagged("Example").with(call);
/// let router = calls.routes(|_access, route| route);
/// # let _: axum::Router = router;
/// ```
pub struct Call<S> {
    pub(super) path: &'static str,
    pub(super) access: Access,
    pub(super) route: MethodRouter<S>,
    /// The most bytes of its body, if more than usual.
    pub(super) body_limit: Option<usize>,
    pub(super) description: Description,
}

/// What the document says of a call.
pub(super) struct Description {
    pub(super) method: HttpMethod,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) text: &'static str,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<RequestBody>,
    /// By status.
    pub(super) answers: Vec<(&'static str, ResponseBuilder)>,
    pub(super) errors: Vec<ApiError>,
    pub(super) schemas: Vec<(String, RefOr<Schema>)>,
}

impl<S: Clone + Send + Sync + 'static> Call<S> {
    /// A `GET` of `path`. A `HEAD` is answered too, without a body.
    pub fn get<H: Handler<T, S>, T: 'static>(
        access: Access,
        path: &'static str,
        handler: H,
    ) -> Self {
        let route = on(MethodFilter::GET, handler);
        Self::new(access, path, HttpMethod::Get, route)
    }

    /// A `POST` to `path`.
    pub fn post<H: Handler<T, S>, T: 'static>(
        access: Access,
        path: &'static str,
        handler: H,
    ) -> Self {
        let route = on(MethodFilter::POST, handler);
        Self::new(access, path, HttpMethod::Post, route)
    }

    const fn new(
        access: Access,
        path: &'static str,
        method: HttpMethod,
        route: MethodRouter<S>,
    ) -> Self {
        Self {
            path,
            access,
            route,
            body_limit: None,
            description: Description {
                method,
                id: "",
                summary: "",
                text: "",
                parameters: Vec::new(),
                body: None,
                answers: Vec::new(),
                errors: Vec::new(),
                schemas: Vec::new(),
            },
        }
    }

    /// Names the call: an id that no other call has, what it does in a few
    /// words, and what there is to know.
    #[must_use]
    pub const fn named(
        mut self,
        id: &'static str,
        summary: &'static str,
        text: &'static str,
    ) -> Self {
        self.description.id = id;
        self.description.summary = summary;
        self.description.text = text;
        self
    }

    /// Adds a parameter, and the errors of one that is wrong. The headers that
    /// its [`Access`] asks for come by themselves.
    #[must_use]
    pub fn parameter(mut self, parameter: ParameterBuilder) -> Self {
        let parameter = parameter.build();
        self = self.error(invalid());
        if parameter.parameter_in == ParameterIn::Path {
            // One that is empty or holds a slash makes another path.
            self = self.error(ApiError::RouteNotFound);
        }
        self.description.parameters.push(parameter);
        self
    }

    /// Says that the call takes a JSON body, with examples by name, and adds
    /// the errors of a body that is wrong.
    #[must_use]
    pub fn body<T: ToSchema>(
        mut self,
        examples: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Self {
        let examples = examples
            .into_iter()
            .map(|(name, body)| (name, ExampleBuilder::new().value(Some(body)).build()));
        let content = ContentBuilder::new()
            .schema(Some(schema::of::<T>()))
            .examples_from_iter(examples);
        let body = RequestBodyBuilder::new()
            .content(JSON, content.build())
            .required(Some(Required::True));
        self.description.body = Some(body.build());
        self.error(invalid())
            .error(ApiError::Malformed(Malformed::NotUtf8))
            .error(ApiError::Malformed(Malformed::NotJson))
            .error(ApiError::Malformed(Malformed::NotAnObject))
            .error(ApiError::UnsupportedMediaType)
            .error(ApiError::UnsupportedEncoding)
            .schemas::<T>()
    }

    /// Allows the body at least this many bytes, whatever the usual limit is.
    #[must_use]
    pub const fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = Some(bytes);
        self
    }

    /// Says what the call answers with when it succeeds ([`Answer`] of `T`), and
    /// shows it.
    #[must_use]
    pub fn answer<T: ToSchema>(mut self, description: &str, example: Value) -> Self {
        let content = ContentBuilder::new()
            .schema(Some(schema::of::<Answer<T>>()))
            .example(Some(example));
        let answer = response::with_body(description, content.build());
        self.description.answers.push(("200", answer));
        self.schemas::<Answer<T>>()
    }

    /// Says that a client that prefers this media type gets the answer in it.
    #[must_use]
    pub fn answer_as(mut self, media_type: &str, example: &str) -> Self {
        let content = ContentBuilder::new()
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
            .example(Some(example.into()))
            .build();
        let answers = self.description.answers.into_iter();
        self.description.answers = answers
            .map(|(status, answer)| (status, answer.content(media_type, content.clone())))
            .collect();
        self
    }

    /// Says that the answer may carry a header beyond those that every answer
    /// has.
    #[must_use]
    pub fn answer_header(
        mut self,
        name: &str,
        schema: impl Into<RefOr<Schema>>,
        description: &str,
    ) -> Self {
        let header = HeaderBuilder::new()
            .schema(Some(schema))
            .description(Some(description))
            .build();
        let answers = self.description.answers.into_iter();
        self.description.answers = answers
            .map(|(status, answer)| (status, answer.header(name, header.clone())))
            .collect();
        self
    }

    /// Says that a parameter of the call `to` (its id) can be taken from this
    /// call's request or answer: a runtime expression of OpenAPI's.
    #[must_use]
    pub fn link(mut self, name: &str, to: &str, parameter: &str, expression: &str) -> Self {
        let link: Link = LinkBuilder::new()
            .operation_id(to)
            .parameter(parameter, expression)
            .build();
        let answers = self.description.answers.into_iter();
        self.description.answers = answers
            .map(|(status, answer)| (status, answer.link(name, link.clone())))
            .collect();
        self
    }

    /// Says that the call can be answered with this kind of error, beyond those
    /// of its parameters, its body and its [`Access`].
    #[must_use]
    pub fn error(mut self, error: ApiError) -> Self {
        self.description.errors.push(error);
        self
    }

    fn schemas<T: ToSchema>(mut self) -> Self {
        let schemas = &mut self.description.schemas;
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
        self
    }
}

/// A request with an invalid parameter, as an example.
fn invalid() -> ApiError {
    Violation::new("dstUserId", Reason::Missing).into()
}
