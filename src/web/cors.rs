//! Pages of other origins that may call the service from a browser.

use std::fmt;
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll};

use futures_util::future::Either;
use http::header::{AUTHORIZATION, CONTENT_TYPE, ORIGIN, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Method, Request, Response};
use tower::{Layer, Service};
use tower_http::cors::{AllowOrigin, CorsLayer};
use url::Url;

/// The origin of pages, as a browser tells it (RFC 6454): scheme, host, and a port
/// that is not the scheme's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(Box<str>);

/// A text that no browser tells as an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no origin of a page")]
pub struct NoOrigin;

impl FromStr for Origin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Self, NoOrigin> {
        let url = Url::parse(text).map_err(|_| NoOrigin)?;
        let is_page = matches!(url.scheme(), "http" | "https");
        if is_page && url.origin().ascii_serialization() == text {
            Ok(Self(text.into()))
        } else {
            Err(NoOrigin)
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl PartialEq<str> for Origin {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

/// What a page may send, beside what every page may.
const SENT: [HeaderName; 7] = [
    AUTHORIZATION,
    CONTENT_TYPE,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("language"),
    HeaderName::from_static("x-date"),
    HeaderName::from_static("x-traceid"),
    HeaderName::from_static("x-user-id"),
];
/// What a page may read of an answer.
const READ: [HeaderName; 3] = [
    HeaderName::from_static("x-traceid"),
    RETRY_AFTER,
    HeaderName::from_static("idempotency-replayed"),
];

/// Answers the preflights of pages whose origin is allowed, and lets them read
/// answers. Stands around everything, so that errors of any layer can be read.
/// A request without an origin goes by untouched.
#[derive(Clone)]
pub struct Cors(CorsLayer);

impl Cors {
    /// A layer for the pages whose origin `is_allowed`.
    #[must_use]
    pub fn new(is_allowed: impl Fn(&str) -> bool + Clone + Send + Sync + 'static) -> Self {
        let allowed = AllowOrigin::predicate(move |origin: &HeaderValue, _| {
            origin.to_str().is_ok_and(&is_allowed)
        });
        let methods = [Method::GET, Method::POST, Method::PUT, Method::DELETE];
        Self(
            CorsLayer::new()
                .allow_origin(allowed)
                .allow_methods(methods)
                .allow_headers(SENT)
                .expose_headers(READ),
        )
    }
}

impl<S: Clone> Layer<S> for Cors {
    type Service = WithCors<S>;

    fn layer(&self, inner: S) -> WithCors<S> {
        WithCors {
            to_pages: self.0.layer(inner.clone()),
            to_others: inner,
        }
    }
}

/// Answers pages with the headers that let them read it.
#[derive(Clone)]
pub struct WithCors<S> {
    to_pages: tower_http::cors::Cors<S>,
    to_others: S,
}

/// The answer to a page that is yet to come.
type PagesFuture<S, B> = Pin<Box<<tower_http::cors::Cors<S> as Service<Request<B>>>::Future>>;

impl<S, B, R> Service<Request<B>> for WithCors<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    // The one is boxed, or the other would be as large.
    type Future = Either<PagesFuture<S, B>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        std::task::ready!(self.to_pages.poll_ready(context))?;
        self.to_others.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if request.headers().contains_key(ORIGIN) {
            Either::Left(Box::pin(self.to_pages.call(request)))
        } else {
            Either::Right(self.to_others.call(request))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for text in [
            "https://console.example.com",
            "http://localhost:5173",
            "https://[2001:db8::1]:8443",
        ] {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), text);
        }
        for text in [
            "*",
            "null",
            "",
            "console.example.com",
            "https://console.example.com/",
            "https://console.example.com/page",
            "https://Console.example.com",
            "https://console.example.com:443",
            "https://user@console.example.com",
            "file:///page.html",
        ] {
            assert_eq!(text.parse::<Origin>(), Err(NoOrigin), "{text}");
        }
    }
}
