use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use orchestrator_config::file::Limits;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::patience::Patience;
use super::traffic::Traffic;

/// How long a connection waits for each thing that a client owes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    header: Duration,
    idle: Duration,
    pub(super) stall: Duration,
}

impl Times {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { header: limits.header_time.into(), idle: limits.idle_time.into(), stall: limits.reader_stall.into() }
    }
}

/// How long, and for how many bytes, a client is listened to that has been told that nothing more is read.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 8 * 1024 * 1024;

/// What a client is told over HTTP/1 whose headers do not come.
const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// A client's connection, with an end to each kind of waiting.
///
/// - For headers that have begun, over HTTP/1: the client is told, and has left as far as HTTP knows.
/// - For a request, where none is being answered: it has left.
/// - For room to write: an error, and what is unsent is thrown away.
///
/// The time for a body, and for an answer, is not the socket's. Whoever uses it polls both halves in one task.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    traffic: Arc<Traffic>,
    times: Times,
    reading: Patience,
    writing: Patience,
    /// When the first bytes of a request came, and which request of the connection that is.
    heard: Option<(u64, Instant)>,
    speaks: Option<Speaks>,
    /// When the client is looked at again, by the timer that is set: only headers that begin may bring that forward.
    looks_at: Option<Instant>,
    /// Nothing more is read of it.
    is_left: bool,
    /// What has been thrown away since the end was told, and since when.
    lingers: Option<(usize, Instant)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Http1,
    Http2,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, traffic: Arc<Traffic>, times: Times) -> Self {
        Self {
            stream,
            traffic,
            times,
            reading: Patience::default(),
            writing: Patience::default(),
            heard: None,
            speaks: None,
            looks_at: None,
            is_left: false,
            lingers: None,
        }
    }

    /// Notes that a client has said something.
    fn hear(&mut self, bytes: &[u8]) {
        let speaks = *self.speaks.get_or_insert(if bytes.starts_with(b"PRI ") { Speaks::Http2 } else { Speaks::Http1 });
        let begun = self.traffic.begun();
        let is_new = self.heard.is_none_or(|(request, _)| request != begun);
        if speaks == Speaks::Http1 && is_new && self.traffic.idle_since().is_some() {
            self.heard = Some((begun, Instant::now()));
            self.looks_at = None;
        }
    }

    /// Until when the client may be silent. While a request is being answered that is looked at again later: nobody tells of
    /// its end.
    fn deadline(&self) -> Until {
        let Some(idle_since) = self.traffic.idle_since() else { return Until::Later(Instant::now() + self.times.idle) };
        match self.heard {
            Some((request, at)) if request == self.traffic.begun() => Until::Headers(at + self.times.header),
            _ => Until::Request(idle_since + self.times.idle),
        }
    }

    /// Waits for the client, as long as it is waited for.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.looks_at.is_some_and(|at| Instant::now() < at) {
            return Poll::Pending;
        }
        loop {
            let until = self.deadline();
            // Whoever reads may not ask again when an answer is done: it is looked at again in time.
            let look = Instant::now() + self.times.idle;
            let waited = self.reading.poll_until(cx, until.at().min(look));
            self.looks_at = self.reading.fires_at();
            ready!(waited);
            match until {
                Until::Later(_) => {}
                Until::Request(_) => return Poll::Ready(()),
                Until::Headers(_) => {
                    self.tell_too_slow(cx);
                    return Poll::Ready(());
                }
            }
        }
    }

    /// Tells it if there is room: nobody waits for it.
    fn tell_too_slow(&mut self, cx: &mut Context<'_>) {
        drop(Pin::new(&mut self.stream).poll_write(cx, TOO_SLOW));
    }

    /// Passes on what came of writing, unless the client has read nothing for too long.
    fn poll_stall(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.writing.end();
            return written;
        }
        ready!(self.writing.poll_for(cx, self.times.stall));
        // What is unsent would stay with the system for minutes otherwise; where it cannot be set, it does.
        drop(self.stream.set_zero_linger());
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }

    /// Reads, and throws away, what a client still sends. Closing before it has stopped would reset the connection, and take
    /// the response from it.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut waste = [0; 8 * 1024];
        let (mut wasted, since) = *self.lingers.get_or_insert_with(|| (0, Instant::now()));
        while wasted < LINGER_BYTES {
            let mut buffer = ReadBuf::new(&mut waste);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => wasted += buffer.filled().len(),
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {
                    self.lingers = Some((wasted, since));
                    return self.reading.poll_until(cx, since + LINGER);
                }
            }
        }
        Poll::Ready(())
    }
}

/// What is waited for, and until when.
#[derive(Debug, Clone, Copy)]
enum Until {
    Headers(Instant),
    Request(Instant),
    Later(Instant),
}

impl Until {
    const fn at(self) -> Instant {
        match self {
            Self::Headers(at) | Self::Request(at) | Self::Later(at) => at,
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.is_left {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(cx, buffer) {
            this.hear(&buffer.filled()[before..]);
            return Poll::Ready(read);
        }
        ready!(this.poll_silence(cx));
        this.is_left = true;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.poll_stall(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.poll_stall(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingers.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        self.poll_linger(cx).map(Ok)
    }
}
