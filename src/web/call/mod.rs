//! A call of the service, registered once: its route and its place in the
//! OpenAPI document are made from the same [`Call`].
//!
//! A call's file declares it beside its handler. A room puts its calls into one
//! list ([`Calls`]); lists are merged. [`Calls::routes`] makes the router and
//! [`Document`] the document, so neither can name a call that the other lacks.

mod document;
mod parameter;
mod response;
pub mod schema;

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::middleware::map_request;
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

pub use self::document::{Document, Requirements};
pub use self::parameter::{header, in_path, query};
use self::response::JSON;
use super::answer::Answer;
use super::context::RequestContext;
use super::error::{ApiError, Malformed, Reason, Violation};

/// Who may make a call. It decides which layer admits the call's requests, and
/// what the document says of credentials, headers and errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Who has a credential of KooDrive's console: an app or a token.
    Console,
    /// Who has a worker's credential.
    Worker,
    /// Anybody.
    Anyone,
}

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
    path: &'static str,
    access: Access,
    route: MethodRouter<S>,
    /// The most bytes of its body, if more than usual.
    body_limit: Option<usize>,
    description: Description,
}

/// What the document says of a call.
struct Description {
    method: HttpMethod,
    id: &'static str,
    summary: &'static str,
    text: &'static str,
    parameters: Vec<Parameter>,
    body: Option<RequestBody>,
    /// By status.
    answers: Vec<(&'static str, ResponseBuilder)>,
    errors: Vec<ApiError>,
    schemas: Vec<(String, RefOr<Schema>)>,
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
pub(super) fn invalid() -> ApiError {
    Violation::new("dstUserId", Reason::Missing).into()
}

/// Calls that belong together.
pub struct Calls<S> {
    /// Each with its tag.
    calls: Vec<(&'static str, Call<S>)>,
    tag: &'static str,
}

impl<S: Clone + Send + Sync + 'static> Calls<S> {
    /// No calls yet; those to come carry this tag in the document.
    #[must_use]
    pub const fn tagged(tag: &'static str) -> Self {
        Self {
            calls: Vec::new(),
            tag,
        }
    }

    /// Adds a call.
    #[must_use]
    pub fn with(mut self, call: Call<S>) -> Self {
        self.calls.push((self.tag, call));
        self
    }

    /// Adds the calls of another list, under their own tags.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.calls.extend(other.calls);
        self
    }

    /// The path of each call, as a template: `/task/{task_id}`.
    pub fn paths(&self) -> impl Iterator<Item = &'static str> {
        self.calls.iter().map(|(_, call)| call.path)
    }

    /// The routes. `guard` puts around a route what admits those who may make
    /// the call.
    pub fn routes(self, guard: impl Fn(Access, MethodRouter<S>) -> MethodRouter<S>) -> Router<S> {
        self.calls
            .into_iter()
            .fold(Router::new(), |router, (_, call)| {
                let route = guard(call.access, call.route);
                router.route(
                    call.path,
                    match call.body_limit {
                        Some(bytes) => route.route_layer(map_request(allow_body(bytes))),
                        None => route,
                    },
                )
            })
    }
}

/// Has a request's context allow its body this many bytes.
fn allow_body(
    bytes: usize,
) -> impl Fn(Request) -> std::future::Ready<Result<Request, ApiError>> + Clone + Send + Sync {
    move |request| {
        let context = RequestContext::of(request.extensions());
        std::future::ready(context.map(|context| {
            context.allow_body(bytes);
            request
        }))
    }
}

#[cfg(test)]
mod tests {
    use axum::middleware::map_response;
    use axum::response::Response;
    use serde_json::{Value, json};
    use tower::ServiceExt;
    use utoipa::openapi::InfoBuilder;
    use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

    use super::*;

    async fn found() -> &'static str {
        "found"
    }

    fn calls() -> Calls<()> {
        let read = Call::get(Access::Console, "/thing", found).named("read", "", "");
        let write = Call::post(Access::Anyone, "/thing", found).named("write", "", "");
        Calls::tagged("one")
            .with(read)
            .and(Calls::tagged("other").with(write))
    }

    fn requirements(access: Access) -> Requirements {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        match access {
            Access::Console => Requirements {
                credentials: vec![("bearer", SecurityScheme::Http(bearer.build()))],
                headers: vec![header("X-Own", schema::integer()).build()],
                errors: vec![ApiError::Forbidden],
            },
            Access::Worker | Access::Anyone => Requirements::default(),
        }
    }

    fn document() -> Value {
        let document = Document::new(InfoBuilder::new().build(), Access::Console, requirements);
        serde_json::to_value(document.with(calls()).build()).unwrap()
    }

    #[tokio::test]
    async fn a_guard_is_put_around_the_calls_of_its_access_alone() {
        let router: Router = calls().routes(|access, route| match access {
            Access::Console => {
                route.route_layer(map_response(async |_: Response| ApiError::Forbidden))
            }
            Access::Worker | Access::Anyone => route,
        });
        for (method, status) in [("GET", 403), ("POST", 200), ("PUT", 405)] {
            let request = http::Request::builder().method(method).uri("/thing");
            let request = request.body(axum::body::Body::empty()).unwrap();
            let answer = router.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), status, "{method}");
        }
    }

    #[test]
    fn merged_lists_make_one_document_and_each_keeps_its_tag() {
        let path = &document()["paths"]["/thing"];
        assert_eq!(path["get"]["tags"], json!(["one"]));
        assert_eq!(path["post"]["tags"], json!(["other"]));
        assert_eq!(
            document()["tags"],
            json!([{"name": "one"}, {"name": "other"}])
        );
    }

    #[test]
    fn who_may_call_decides_on_credentials_headers_and_errors() {
        let document = document();
        assert_eq!(document["security"], json!([{"bearer": []}]));
        let (usual, open) = (
            &document["paths"]["/thing"]["get"],
            &document["paths"]["/thing"]["post"],
        );
        assert_eq!(usual.get("security"), None);
        assert_eq!(open["security"], json!([]));
        let own = json!({"$ref": "#/components/parameters/X-Own"});
        assert_eq!(usual["parameters"][0], own);
        assert!(!open["parameters"].as_array().unwrap().contains(&own));
        assert!(usual["responses"]["403"].is_object());
        assert_eq!(open["responses"].get("403"), None);
    }
}
