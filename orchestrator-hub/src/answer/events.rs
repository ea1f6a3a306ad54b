use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use http_body::Frame;
use orchestrator_core::answer::{Answer, Tokens};
use orchestrator_core::error::Error;
use orchestrator_core::token::{Finish, TextDelta, TokenEvent};

use super::frame::raw;
use super::whole::Whole;
use crate::fault::{Fault, FaultKind};

/// How an API puts an answer: event by event, or in one piece.
pub(crate) trait Wording: Send + Sync + Unpin + 'static {
    /// What is kept of the pieces of a text, for an answer in one piece.
    type Seen: Default + Send;

    /// Keeps what matters of a piece of the text.
    fn look(&self, delta: &TextDelta, seen: &mut Self::Seen);

    /// Puts a whole answer.
    fn whole(self, answered: Whole<Self::Seen>) -> Response;

    /// Writes what comes before the first event; `frame` is that one's. `model` tells who answers, for where no frame does.
    fn begin(&mut self, frame: Option<&Bytes>, model: impl FnOnce() -> Option<Arc<str>>, out: &mut BytesMut);

    /// Writes a delta: text, reasoning or a piece of a tool call.
    fn delta(&mut self, event: &TokenEvent, out: &mut BytesMut);

    /// Writes the end of a whole answer.
    fn finish(&mut self, finish: &Finish, out: &mut BytesMut);

    /// Writes the end of an answer that broke off.
    fn fault(&mut self, fault: &Fault, out: &mut BytesMut);
}

/// Waits for the first event, so that a failure before it has a status of its own.
///
/// # Errors
///
/// Tells how the request ended, where it did without an event.
pub(crate) async fn begin(answer: &mut Answer<Tokens>) -> Result<TokenEvent, Error> {
    // An answer that is read for the first time yields an event or an error.
    answer.next().await.expect("an answer does not end without an event")
}

/// A streamed answer as the body of a response.
///
/// All events that are ready leave together. Dropping it, as a server does when its client leaves, cancels the request.
pub(crate) struct Events<W> {
    answer: Answer<Tokens>,
    wording: W,
    /// The event that was waited for before the response began.
    first: Option<TokenEvent>,
    is_over: bool,
    /// The request's, which is left before its answer is read.
    span: tracing::Span,
}

/// Room for an event of usual length.
const EVENT: usize = 512;

/// Where a piece of the body is long enough to be sent, though more may be ready.
const ENOUGH: usize = 16 * 1024;

impl<W: Wording> Events<W> {
    pub(crate) fn new(answer: Answer<Tokens>, first: TokenEvent, wording: W) -> Self {
        Self { answer, wording, first: Some(first), is_over: false, span: tracing::Span::current() }
    }

    /// Writes all that is ready; to new memory each time, likelier to be warm than what a stream keeps between two events.
    fn gather(&mut self, cx: &mut Context<'_>) -> BytesMut {
        let mut out = BytesMut::new();
        if let Some(first) = self.first.take() {
            let model = || self.answer.context().asked_model();
            self.wording.begin(raw(&first), model, &mut out);
            self.write(&first, &mut out);
        }
        while !self.is_over && out.len() < ENOUGH {
            match Pin::new(&mut self.answer).poll_next(cx) {
                Poll::Ready(Some(Ok(event))) => self.write(&event, &mut out),
                Poll::Ready(Some(Err(error))) => self.break_off(&error.into(), &mut out),
                Poll::Ready(None) => self.is_over = true,
                Poll::Pending => break,
            }
        }
        out
    }

    fn write(&mut self, event: &TokenEvent, out: &mut BytesMut) {
        // An event in words of our own is written in small pieces, which would make the buffer grow several times.
        out.reserve(EVENT);
        match event {
            TokenEvent::Text(_) | TokenEvent::Reasoning(_) | TokenEvent::ToolCall(_) => self.wording.delta(event, out),
            TokenEvent::Finish(finish) => {
                self.wording.finish(finish, out);
                self.is_over = true;
            }
            // No API here has a word for it.
            TokenEvent::Reset => {
                self.answer.cancel();
                let fault = Fault::new(FaultKind::BadGateway, "the answer would have to begin anew");
                self.break_off(&fault, out);
            }
        }
    }

    fn break_off(&mut self, fault: &Fault, out: &mut BytesMut) {
        self.span.in_scope(|| fault.log("an answer broke off"));
        self.wording.fault(fault, out);
        self.is_over = true;
    }
}

impl<W: Wording> http_body::Body for Events<W> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let out = self.gather(cx);
        match (out.is_empty(), self.is_over) {
            (false, _) => Poll::Ready(Some(Ok(Frame::data(out.freeze())))),
            (true, true) => Poll::Ready(None),
            (true, false) => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }
}
