use std::fmt;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::head::Head;

/// Why a request got no response.
#[derive(Debug)]
pub(in crate::client) enum LineError {
    /// There was no connection.
    Connect(io::Error),
    /// There was no connection in time.
    ConnectTimeout(Duration),
    /// The connection broke, or what came is no HTTP, which is invalid data.
    Broken(io::Error),
}

/// How much is read at once: many events that come together, and one of usual length many times over.
const ROOM: usize = 16 * 1024;

/// A connection, read and written by whoever waits for what comes over it.
pub(super) struct Line {
    stream: TcpStream,
    /// What has come and was not taken yet.
    pub(super) received: BytesMut,
    /// What is left of the request. A server may answer before it has read it all.
    unsent: Bytes,
}

/// Why there is no head of a response.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) error: io::Error,
    pub(super) is_unsent: bool,
}

impl Line {
    pub(super) async fn connect(host: &str, port: u16, limit: Duration) -> Result<Self, LineError> {
        let connecting = tokio::time::timeout(limit, TcpStream::connect((host, port)));
        let stream = connecting.await.map_err(|_| LineError::ConnectTimeout(limit))?.map_err(LineError::Connect)?;
        // Where it cannot be set, the connection is slower, and no worse.
        drop(stream.set_nodelay(true));
        Ok(Self { stream, received: BytesMut::new(), unsent: Bytes::new() })
    }

    /// Sends a request and waits for the head of its response.
    pub(super) async fn send(&mut self, request: Bytes) -> Result<Head, Unanswered> {
        let length = request.len();
        self.unsent = request;
        let answered = poll_fn(|cx| self.poll_head(cx)).await;
        answered.map_err(|error| Unanswered { error, is_unsent: self.unsent.len() == length })
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Head>> {
        loop {
            if let Some(head) = Head::take(&mut self.received)? {
                return Poll::Ready(Ok(head));
            }
            if ready!(self.poll_more(cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Waits for more to come, and writes what is left of the request meanwhile; returns how much it is, 0 at the connection's
    /// end.
    pub(super) fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.write(cx);
        // Not into memory of the connection's own, which would be read for one event and then not for long.
        let mut room = [MaybeUninit::uninit(); ROOM];
        let mut read = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
        let came = read.filled();
        if self.received.is_empty() {
            self.received = BytesMut::from(came);
        } else {
            self.received.extend_from_slice(came);
        }
        Poll::Ready(Ok(came.len()))
    }

    /// Writes what can be. Where that fails, reading tells: the server may have answered before.
    fn write(&mut self, cx: &mut Context<'_>) {
        while !self.unsent.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.unsent) {
                Poll::Ready(Ok(written)) if written > 0 => self.unsent.advance(written),
                Poll::Ready(_) | Poll::Pending => return,
            }
        }
    }

    /// Whether it may take a request, as far as that can be seen now: nothing is left to send or to read, and the server has
    /// not closed it.
    pub(super) fn is_ready(&self) -> bool {
        self.is_quiet() && self.stream.try_read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether nothing is left to send or to read.
    pub(super) fn is_quiet(&self) -> bool {
        self.is_sent() && self.received.is_empty()
    }

    /// Whether nothing is left to send.
    pub(super) const fn is_sent(&self) -> bool {
        self.unsent.is_empty()
    }
}

impl fmt::Debug for Line {
    /// Without what is sent, which may hold a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("unsent", &self.unsent.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_is_sent_is_in_no_debug() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let mut line = Line::connect("127.0.0.1", port, Duration::from_secs(5)).await.expect("a connection");
        line.unsent = Bytes::from_static(b"authorization: Bearer canary");
        assert_eq!(format!("{line:?}"), "Line { unsent: 28, .. }");
    }
}
