//! The way of a request: the routes, and the layers around them.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use http::Request;
use tower::util::AndThenLayer;
use tower::{Service, ServiceBuilder};
use tower_http::catch_panic::CatchPanicLayer;

use super::{App, calls, openapi, panicked};
use crate::auth;
use crate::auth::layer::AuthLayer;
use crate::ops::documentation;
use crate::stand_in::{self, Recorder, StandIn};
use crate::web::call::Access;
use crate::web::cors::Cors;
use crate::web::envelope::EnvelopeLayer;
use crate::web::error::ApiError;

/// A service that answers every request of this body type. It is always ready: none of
/// its layers holds a request up before it is called.
pub trait HttpService<B>:
    Service<Request<B>, Response = Response, Error = Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S, B> HttpService<B> for S where
    S: Service<Request<B>, Response = Response, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

impl App {
    /// The routes.
    fn routes(&self) -> Router {
        let console = AuthLayer::new(Arc::clone(&self.authenticator), Arc::clone(&self.limiter));
        let routes = calls()
            // Around each call alone: an unknown path is 404 to everybody.
            .routes(|access, route| match access {
                Access::Console => match &self.stand_in {
                    Some(stand_in) => route
                        .route_layer(from_fn_with_state(stand_in.clone(), stand_in::decide))
                        .route_layer(console.clone()),
                    None => route.route_layer(console.clone()),
                },
                Access::Worker => {
                    let authenticator = Arc::clone(&self.authenticator);
                    route.route_layer(from_fn_with_state(authenticator, auth::admit_worker))
                }
                Access::Anyone => route,
            });
        let routes = routes
            .fallback(async || ApiError::RouteNotFound)
            .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
            .with_state(self.tasks.clone());
        match &self.stand_in {
            Some(stand_in) => {
                let recorder = Recorder {
                    stand_in: stand_in.clone(),
                    authenticator: Arc::clone(&self.authenticator),
                };
                routes
                    .layer(from_fn_with_state(recorder, stand_in::record))
                    .merge(stand_in.routes())
                    .merge(documentation(&openapi()))
            }
            None => routes,
        }
    }

    /// What lets pages of other origins call, if any may.
    fn cors(&self) -> Option<Cors> {
        let listed = Arc::clone(&self.origins);
        let is_local = self.stand_in.as_ref().map(StandIn::is_origin_allowed);
        if listed.is_empty() && is_local.is_none() {
            return None;
        }
        Some(Cors::new(move |origin| {
            listed.iter().any(|listed| listed == origin)
                || is_local.as_ref().is_some_and(|is_local| is_local(origin))
        }))
    }

    /// The whole service: the layers around the routes, the outermost first.
    #[must_use]
    pub fn service<B>(&self) -> impl HttpService<B>
    where
        B: http_body::Body<Data = axum::body::Bytes, Error: Into<axum::BoxError>> + Send + 'static,
    {
        let stand_in = self.stand_in.as_ref();
        ServiceBuilder::new()
            // Around all, so that a page can read errors of any layer.
            .option_layer(self.cors())
            // Without the deadline of the envelope: a rule can be slower. Boxed, or a
            // service that is none would need the room, too.
            .option_layer(
                stand_in.map(|_| AndThenLayer::new(|answer| Box::pin(stand_in::conduct(answer)))),
            )
            // Sees every request first and every answer last: it must know the
            // trace id of all there is, and give errors of all layers one form.
            .layer(
                EnvelopeLayer::new(self.limits)
                    .behind(self.proxies.clone())
                    .observed_by(self.ops.requests())
                    .traced_by(self.tracer.clone()),
            )
            // Within the envelope, so that a panic is answered like any error.
            .layer(CatchPanicLayer::custom(panicked::answer))
            .service(self.routes())
    }
}
