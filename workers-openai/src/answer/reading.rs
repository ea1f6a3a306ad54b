use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use orchestrator_core::error::WorkerError;
use orchestrator_core::token::{TokenEvent, TokenStream};
use tokio::time::Sleep;

use super::ending::Ending;
use super::pieces::{Pieces, Unread};
use crate::client::Frames;

const DONE: &[u8] = b"[DONE]";

/// How long the end of the body is waited for behind `[DONE]`, so that the connection can be used again. Most servers send both
/// at once, or one right behind the other.
const LAST_CHUNK: Duration = Duration::from_millis(10);

/// Reads an answer.
///
/// | what the frames hold | what comes of it |
/// |---|---|
/// | text | text, with its token ids where they are told, and with the frame where that says nothing else |
/// | token ids without text, of a character that is not complete | nothing; they come with the next text |
/// | `reasoning_content` or `reasoning` | reasoning |
/// | pieces of tool calls | the same; id and name in the first piece only |
/// | a choice other than the first | nothing |
/// | a finish reason, usage, what the vendor adds to them | the terminal event, behind everything else |
/// | an error | the error, classified as [`classify_frame`](crate::error::classify_frame) does |
/// | what cannot be read | `Protocol` |
///
/// A finish reason that is not known is `Stop`; one that says that the server gave up is an error. Empty deltas make no event.
///
/// The answer is whole if the server gave a finish reason, or said `[DONE]`; without either it was cut
/// ([`StreamCut`](orchestrator_core::error::WorkerErrorKind::StreamCut)). The terminal event comes with `[DONE]` or the end of
/// the body; if the connection breaks behind the finish reason, it comes with what is known.
#[must_use]
pub fn tokens(frames: Frames) -> TokenStream {
    TokenStream::from_stream(Reading { frames, pieces: Pieces::default(), ending: Ending::default(), done: None })
}

struct Reading {
    frames: Frames,
    pieces: Pieces,
    ending: Ending,
    /// Behind `[DONE]`: how long the end of the body is still waited for.
    done: Option<Pin<Box<Sleep>>>,
}

impl Reading {
    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<Result<TokenEvent, WorkerError>> {
        if self.frames.finish(cx).is_pending() {
            let patience = self.done.get_or_insert_with(|| Box::pin(tokio::time::sleep(LAST_CHUNK)));
            ready!(patience.as_mut().poll(cx));
        }
        Poll::Ready(self.finish())
    }

    fn finish(&mut self) -> Result<TokenEvent, WorkerError> {
        std::mem::take(&mut self.ending).into_finish().map(TokenEvent::Finish)
    }

    fn finish_or(&mut self, broken: WorkerError) -> Result<TokenEvent, WorkerError> {
        if self.ending.is_known() { self.finish() } else { Err(broken) }
    }

    fn unread(&mut self, frame: &Bytes, unread: Unread) -> Result<TokenEvent, WorkerError> {
        match unread {
            Unread::Failure => Err(self.frames.error_of(frame).unwrap_or_else(WorkerError::stream_cut)),
            // Half an event at the end: the connection was cut in it.
            Unread::Unknown(_) if self.frames.is_over() => self.finish_or(WorkerError::stream_cut()),
            Unread::Unknown(why) => Err(self.frames.unreadable(frame, &why)),
        }
    }
}

impl Stream for Reading {
    type Item = Result<TokenEvent, WorkerError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.done.is_some() {
            return this.poll_done(cx).map(Some);
        }
        if let Some(event) = this.pieces.next() {
            return Poll::Ready(Some(Ok(event)));
        }
        loop {
            let frame = match ready!(Pin::new(&mut this.frames).poll_next(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Some(this.finish_or(error))),
                None => return Poll::Ready(Some(this.finish_or(WorkerError::stream_cut()))),
            };
            if frame == DONE {
                return this.poll_done(cx).map(Some);
            }
            match this.pieces.read(&frame, &mut this.ending) {
                Ok(Some(event)) => return Poll::Ready(Some(Ok(event))),
                Ok(None) => {}
                Err(unread) => return Poll::Ready(Some(this.unread(&frame, unread))),
            }
        }
    }
}
