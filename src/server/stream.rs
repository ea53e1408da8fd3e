//! The bytes of a connection: its reads are noted, and its end is lingering.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::connection::Connection;

/// The most bytes that are read only to be thrown away.
const MOST_DRAINED: usize = 16 * 1024 * 1024;

/// A connection's bytes, plain or within TLS.
///
/// Closed while unread bytes are on their way, TCP resets the connection, and
/// the client loses the answer that it was sent last. Therefore a shutdown closes
/// the service's side alone, and goes on to read, within bounds, until the client
/// has closed its own (RFC 9112, 9.6).
pub(super) struct Stream<S: Abort> {
    inner: S,
    connection: Arc<Connection>,
    is_shut: bool,
    /// The client has closed its side.
    is_at_end: bool,
    drained: usize,
}

/// A socket, or what stands on one, that can be closed with a reset.
pub(super) trait Abort {
    /// Has the socket be reset when it is closed.
    fn abort(&self);
}

impl Abort for TcpStream {
    fn abort(&self) {
        // Where this fails the client sees another end of the connection.
        let _ = SockRef::from(self).set_linger(Some(Duration::ZERO));
    }
}

impl<S: Abort> Abort for TlsStream<S> {
    fn abort(&self) {
        self.get_ref().0.abort();
    }
}

impl<S: Abort> Drop for Stream<S> {
    fn drop(&mut self) {
        if self.connection.is_reset() {
            self.inner.abort();
        }
    }
}

impl<S: Abort> Stream<S> {
    pub(super) const fn new(inner: S, connection: Arc<Connection>) -> Self {
        Self {
            inner,
            connection,
            is_shut: false,
            is_at_end: false,
            drained: 0,
        }
    }
}

impl<S: AsyncRead + Abort + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = buffer.filled().len();
        if !self.is_at_end {
            ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
            self.is_at_end = buffer.filled().len() == filled;
        }
        if !self.is_at_end {
            self.connection.note_read();
        } else if self.connection.awaits_answer(context.waker()) {
            // The protocol would take it for a client that left.
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Abort + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_shut {
            ready!(Pin::new(&mut self.inner).poll_shutdown(context))?;
            self.is_shut = true;
            self.connection.note_linger();
        }
        let mut space = [MaybeUninit::uninit(); 8192];
        while self.drained < MOST_DRAINED {
            let mut buffer = ReadBuf::uninit(&mut space);
            let read = ready!(Pin::new(&mut self.inner).poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                break;
            }
            self.drained = self.drained.saturating_add(buffer.filled().len());
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::super::connection::tests::connection;
    use super::*;

    /// A pipe knows no reset.
    impl Abort for DuplexStream {
        fn abort(&self) {}
    }

    /// A stream whose client has closed its side.
    async fn at_its_end() -> (Stream<DuplexStream>, Arc<Connection>, DuplexStream) {
        let (mut client, service) = tokio::io::duplex(64);
        client.shutdown().await.unwrap();
        let (_, connection) = connection();
        (
            Stream::new(service, Arc::clone(&connection)),
            connection,
            client,
        )
    }

    #[tokio::test]
    async fn a_client_that_closes_its_side_waits_for_its_answer() {
        let (mut stream, connection, _client) = at_its_end().await;
        let request = connection.begin_request(false, true);
        assert_eq!(stream.read_u8().now_or_never().map(drop_error), None);
        drop(request);
        assert_eq!(stream.read_u8().now_or_never().map(drop_error), Some(None));
    }

    #[tokio::test]
    async fn a_request_that_gives_up_ends_with_its_client() {
        let (mut stream, connection, _client) = at_its_end().await;
        let _request = connection.begin_request(false, true);
        let reading = tokio::spawn(async move { stream.read_u8().await.is_err() });
        tokio::task::yield_now().await;
        connection.peer.end.gives_up_request();
        assert!(reading.await.unwrap());
        // The next request of the connection is no such.
        drop(connection.begin_request(false, true));
        assert!(!connection.peer.end.come(std::task::Waker::noop()));
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_ends_its_request() {
        let (mut stream, connection, _client) = at_its_end().await;
        let _request = connection.begin_request(false, false);
        assert_eq!(stream.read_u8().now_or_never().map(drop_error), None);
        connection.peer.end.misses_body(std::task::Waker::noop());
        assert_eq!(stream.read_u8().now_or_never().map(drop_error), Some(None));
    }

    fn drop_error<T>(read: io::Result<T>) -> Option<T> {
        read.ok()
    }
}
