//! The bytes of a connection: its reads are noted, and its end is lingering.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::Connection;

/// The most bytes that are read only to be thrown away.
const MOST_DRAINED: usize = 16 * 1024 * 1024;

/// A connection's bytes, plain or within TLS.
///
/// Closed while unread bytes are on their way, TCP resets the connection, and
/// the client loses the answer that it was sent last. Therefore a shutdown closes
/// the service's side alone, and goes on to read, within bounds, until the client
/// has closed its own (RFC 9112, 9.6).
pub(super) struct Stream<S> {
    inner: S,
    connection: Arc<Connection>,
    is_shut: bool,
    drained: usize,
}

impl<S> Stream<S> {
    pub(super) const fn new(inner: S, connection: Arc<Connection>) -> Self {
        Self {
            inner,
            connection,
            is_shut: false,
            drained: 0,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        if !buffer.filled().is_empty() {
            self.connection.note_read();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
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
