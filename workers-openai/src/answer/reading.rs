use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use orchestrator_core::error::WorkerError;
use orchestrator_core::token::{Pulse, TokenEvent, TokenStream};
use tokio::time::Sleep;

use super::ending::Ending;
use super::pieces::{Pieces, Unread};
use crate::client::Frames;

const DONE: &[u8] = b"[DONE]";

/// How long usage and `[DONE]` are waited for behind the finish reason. Servers send them with it, or right behind it; the
/// answer is whole, and its slot is waited for.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How long the end of the body is waited for behind `[DONE]`, so that the connection can be used again. Most servers send both
/// at once, or one right behind the other.
const LAST_CHUNK: Duration = Duration::from_millis(10);

/// Reads an answer.
///
/// | what the frames hold | what comes of it |
/// |---|---|
/// | text | text, with its token ids where they are told, and with the frame where that says nothing else |
/// | token ids without text, of a character that is not complete | nothing; they come with the next text |
/// | how likely such a token was | an empty text with the frame, which is the only place where that stands |
/// | `reasoning_content` or `reasoning` | reasoning |
/// | pieces of tool calls | the same; id and name in the first piece only |
/// | a choice other than the first | nothing |
/// | a finish reason, usage, what the vendor adds to them | the terminal event, behind everything else |
/// | an error, by what it says or by its event's name | the error, classified as [`classify_frame`](crate::error::classify_frame) does |
/// | what cannot be read | `Protocol` |
///
/// A finish reason that is not known is `Stop`, and stands as `finish_reason` among the vendor's fields; one that says that the
/// server gave up is `Transient`. Other empty deltas make no event, but are a [`Pulse`] of the stream; comments are none. A
/// usage that the server never sent is all zeros.
///
/// The answer is whole if the server gave a finish reason, or said `[DONE]`; without either it was cut
/// ([`StreamCut`](orchestrator_core::error::WorkerErrorKind::StreamCut)). The terminal event comes with `[DONE]` or the end of
/// the body. If the connection breaks behind the finish reason, or nothing of these comes within 2 s, it comes with what is
/// known.
#[must_use]
pub fn tokens(frames: Frames) -> TokenStream {
    let pulse = Pulse::default();
    let reading = Reading {
        frames,
        pieces: Pieces::default(),
        ending: Ending::default(),
        pulse: pulse.clone(),
        is_done: false,
        patience: Patience::default(),
    };
    TokenStream::from_stream(reading).with_pulse(pulse)
}

struct Reading {
    frames: Frames,
    pieces: Pieces,
    ending: Ending,
    pulse: Pulse,
    /// `[DONE]` has come.
    is_done: bool,
    patience: Patience,
}

/// How long what comes behind the finish reason, or behind `[DONE]`, is still waited for.
///
/// The time begins with the first wait. Mostly there is none, as all of it comes at once: then a timer, which would be the next
/// one to fire, and have the runtime wake itself for that, is never set.
#[derive(Debug, Default)]
struct Patience {
    limit: Option<Duration>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    fn limit(&mut self, limit: Duration) {
        self.limit = Some(limit);
        self.timer = None;
    }

    /// Returns whether it is at its end; never where there is no limit.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(limit) = self.limit else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        timer.as_mut().poll(cx)
    }
}

impl Reading {
    /// Goes on until there is an event, or the answer is over.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<TokenEvent, WorkerError>> {
        while !self.is_done {
            if let Some(event) = self.pieces.next() {
                return Poll::Ready(Ok(event));
            }
            let frame = match ready!(Pin::new(&mut self.frames).poll_next(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(self.finish_or(error)),
                None => return Poll::Ready(self.finish_or(WorkerError::stream_cut())),
            };
            if let Some(event) = self.read(&frame).transpose() {
                return Poll::Ready(event);
            }
        }
        ready!(self.frames.finish(cx));
        Poll::Ready(self.finish())
    }

    fn read(&mut self, frame: &Bytes) -> Result<Option<TokenEvent>, WorkerError> {
        if self.frames.is_named_error() {
            return self.unread(frame, Unread::Failure).map(Some);
        }
        if frame == DONE {
            self.is_done = true;
            self.patience.limit(LAST_CHUNK);
            return Ok(None);
        }
        let was_known = self.ending.is_known();
        let event = match self.pieces.read(frame, &mut self.ending) {
            Ok(event) => event,
            Err(unread) => return self.unread(frame, unread).map(Some),
        };
        if event.is_none() {
            self.pulse.beat();
        }
        if self.ending.is_known() && !was_known {
            self.patience.limit(LAST_WORDS);
        }
        Ok(event)
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
        if let Poll::Ready(event) = this.poll_event(cx) {
            return Poll::Ready(Some(event));
        }
        // What is there already is read, however late it is asked for.
        this.patience.poll_end(cx).map(|()| Some(this.finish()))
    }
}
