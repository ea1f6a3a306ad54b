use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use http_body::Frame;
use orchestrator_core::answer::{Answer, Tokens};
use orchestrator_core::error::Error;
use orchestrator_core::token::{Finish, TokenEvent};

use crate::fault::{Fault, FaultKind};

/// How an API puts the events of a streamed answer.
pub(crate) trait Wording: Send + Unpin + 'static {
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
    buffer: BytesMut,
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
        Self {
            answer,
            wording,
            first: Some(first),
            buffer: BytesMut::new(),
            is_over: false,
            span: tracing::Span::current(),
        }
    }

    /// Writes all that is ready.
    fn gather(&mut self, cx: &mut Context<'_>) {
        // An event in words of our own is written in small pieces, which would make the buffer grow several times.
        self.buffer.reserve(EVENT);
        if let Some(first) = self.first.take() {
            self.write(&first);
        }
        while !self.is_over && self.buffer.len() < ENOUGH {
            match Pin::new(&mut self.answer).poll_next(cx) {
                Poll::Ready(Some(Ok(event))) => self.write(&event),
                Poll::Ready(Some(Err(error))) => self.break_off(&error.into()),
                Poll::Ready(None) => self.is_over = true,
                Poll::Pending => break,
            }
        }
    }

    fn write(&mut self, event: &TokenEvent) {
        match event {
            TokenEvent::Text(_) | TokenEvent::Reasoning(_) | TokenEvent::ToolCall(_) => {
                self.wording.delta(event, &mut self.buffer);
            }
            TokenEvent::Finish(finish) => {
                self.wording.finish(finish, &mut self.buffer);
                self.is_over = true;
            }
            // No API here has a word for it.
            TokenEvent::Reset => {
                self.answer.cancel();
                self.break_off(&Fault::new(FaultKind::BadGateway, "the answer would have to begin anew"));
            }
        }
    }

    fn break_off(&mut self, fault: &Fault) {
        self.span.in_scope(|| fault.log("an answer broke off"));
        self.wording.fault(fault, &mut self.buffer);
        self.is_over = true;
    }
}

impl<W: Wording> http_body::Body for Events<W> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        this.gather(cx);
        match (this.buffer.is_empty(), this.is_over) {
            (false, _) => Poll::Ready(Some(Ok(Frame::data(this.buffer.split().freeze())))),
            (true, true) => Poll::Ready(None),
            (true, false) => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over && self.buffer.is_empty()
    }
}
