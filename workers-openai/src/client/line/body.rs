use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::connection::Line;
use super::framing::{Framing, Piece};
use super::lines::Idle;

/// The body of a response, read off the connection that it comes over.
///
/// Dropped before its end, it closes the connection; read to its end, it gives it back for the next request.
#[derive(Debug)]
pub(in crate::client) struct LineBody {
    /// `None` once it has been given back, or has broken.
    line: Option<Line>,
    framing: Framing,
    /// Where the connection goes if both sides keep it.
    idle: Option<Arc<Idle>>,
}

impl LineBody {
    pub(super) const fn new(line: Line, framing: Framing, idle: Option<Arc<Idle>>) -> Self {
        Self { line: Some(line), framing, idle }
    }

    /// Waits for the next piece; never an empty one. `None` at the end, and after an error.
    pub(in crate::client) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            let Some(line) = &mut self.line else { return Poll::Ready(None) };
            match self.framing.take(&mut line.received) {
                Ok(Piece::Data(data)) => return Poll::Ready(Some(Ok(data))),
                Ok(Piece::Missing) => {}
                Ok(Piece::End) => {
                    self.give_back();
                    return Poll::Ready(None);
                }
                Err(error) => return Poll::Ready(self.broken(error)),
            }
            match ready!(line.poll_more(cx)) {
                // Where writing has failed, reading may not tell that the connection broke.
                Ok(0) if self.framing == Framing::Closing && line.is_sent() => {
                    self.line = None;
                    return Poll::Ready(None);
                }
                Ok(0) => return Poll::Ready(self.broken(io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(error) => return Poll::Ready(self.broken(error)),
            }
        }
    }

    fn broken(&mut self, error: io::Error) -> Option<io::Result<Bytes>> {
        self.line = None;
        Some(Err(error))
    }

    /// Gives the connection back, if it is kept. What came behind the body was not asked for.
    fn give_back(&mut self) {
        let line = self.line.take().filter(Line::is_quiet);
        if let (Some(line), Some(idle)) = (line, &self.idle) {
            idle.put(line);
        }
    }
}
