//! Lists of calls, and the routes that are made of one.

use axum::Router;
use axum::extract::Request;
use axum::middleware::map_request;
use axum::routing::MethodRouter;

use super::{Access, Call};
use crate::web::context::RequestContext;
use crate::web::error::ApiError;

/// Calls that belong together.
pub struct Calls<S> {
    /// Each with its tag.
    pub(super) calls: Vec<(&'static str, Call<S>)>,
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
