use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use sync_wrapper::SyncWrapper;

use super::connection::Line;
use super::lines::Idle;

/// The body of a response, which drives the connection that it comes over.
///
/// Dropped before its end, it closes the connection; read to its end, it gives it back for the next request.
pub(in crate::client) struct LineBody {
    body: Incoming,
    /// `None` once it has been given back, or has broken.
    line: Option<SyncWrapper<Line>>,
    idle: Arc<Idle>,
}

impl LineBody {
    pub(super) fn new(body: Incoming, line: Line, idle: Arc<Idle>) -> Self {
        Self { body, line: Some(SyncWrapper::new(line)), idle }
    }

    /// Gives the connection back, if the server keeps it.
    fn give_back(&mut self, cx: &mut Context<'_>) {
        let Some(line) = self.line.take() else { return };
        let mut line = line.into_inner();
        if line.is_ready(cx) {
            self.idle.put(line);
        }
    }
}

impl Body for LineBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let mut frame = Pin::new(&mut this.body).poll_frame(cx);
        if frame.is_pending() {
            if let Some(line) = &mut this.line {
                line.get_mut().drive(cx);
            }
            frame = Pin::new(&mut this.body).poll_frame(cx);
        }
        match &frame {
            Poll::Ready(None) => this.give_back(cx),
            Poll::Ready(Some(Err(_))) => this.line = None,
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        // Not before the connection was given back.
        self.line.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
