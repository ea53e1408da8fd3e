//! A request and its answer as the connection sees them: what of a request's
//! body was read, and what of an answer has left.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::{Buf, Bytes};
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, Version};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;

use super::connection::{Connection, InFlight, Verdict};
use crate::app::HttpService;
use crate::web::budget::Taken;
use crate::web::peer::Reset;

const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// Has a request of this connection answered. It is in flight from now on, before
/// the first poll: the connection may be read on before that.
///
/// The service is the connection's. A clone for each request would have all cores
/// count the references to what the clones share.
pub(super) fn exchange<S: HttpService<RequestBody>>(
    service: &Mutex<S>,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Answer>, Infallible>> + Send + use<S> {
    let http2 = request.version() == Version::HTTP_2;
    let in_flight = connection.begin_request(http2, http_body::Body::is_end_stream(request.body()));
    let mut request = request.map(|inner| RequestBody {
        inner,
        connection: Arc::clone(&connection),
    });
    request
        .extensions_mut()
        .insert(Arc::clone(&connection.peer));
    let response = {
        let mut service = service.lock().unwrap_or_else(PoisonError::into_inner);
        service.call(request)
    };
    async move {
        let mut response = response.await?;
        if response.extensions_mut().remove::<Reset>().is_some() {
            connection.reset();
            // The connection is dropped, and this with it.
            std::future::pending::<()>().await;
        }
        if http2 && connection.is_draining() {
            connection.decide(Verdict::Finish);
        }
        // What comes of a body after its answer could be taken for a request.
        if !http2 && (connection.has_unread_body() || connection.is_draining()) {
            response.headers_mut().insert(CONNECTION, CLOSE);
        }
        Ok(response.map(|body| Answer::new(body, in_flight)))
    }
}

/// A request's body; the connection knows when it was read.
pub(crate) struct RequestBody {
    inner: Incoming,
    connection: Arc<Connection>,
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) else {
            self.connection.peer.end.misses_body(context.waker());
            return Poll::Pending;
        };
        match &frame {
            // Trailers are no good end: what the parser takes for trailers may
            // have been meant as the next request.
            Some(Ok(frame)) if frame.is_trailers() => {
                self.connection.decide(Verdict::Finish);
            }
            Some(Ok(_)) if self.inner.is_end_stream() => self.connection.end_body(),
            None => self.connection.end_body(),
            Some(_) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// An answer's body; its request is in flight until it is handed over.
pub(super) struct Answer {
    body: Body,
    in_flight: InFlight,
}

impl Answer {
    fn new(body: Body, in_flight: InFlight) -> Self {
        let has_end = http_body::Body::size_hint(&body).exact().is_some();
        Self {
            body,
            in_flight: if has_end {
                in_flight
            } else {
                in_flight.stream()
            },
        }
    }
}

impl http_body::Body for Answer {
    type Data = Unsent;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Unsent>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let connection = self.in_flight.connection();
        Poll::Ready(
            frame.map(|frame| {
                frame.map(|frame| frame.map_data(|bytes| Unsent::new(bytes, connection)))
            }),
        )
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A part of an answer, which counts as held until it has left.
pub(super) struct Unsent {
    bytes: Bytes,
    period: usize,
    connection: Arc<Connection>,
    _held: Taken,
}

impl Unsent {
    fn new(bytes: Bytes, connection: &Arc<Connection>) -> Self {
        Self {
            _held: connection.peer.answers.take_beyond(bytes.len()),
            period: connection.begin_unsent(),
            connection: Arc::clone(connection),
            bytes,
        }
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        self.connection.end_unsent(self.period);
    }
}

impl Buf for Unsent {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}
