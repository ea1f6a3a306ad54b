use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use orchestrator_core::error::{WorkerError, WorkerErrorKind as Kind};

use super::response::Body;
use super::secrets::Secrets;
use crate::error;
use crate::sse::SseDecoder;

/// The data of the events of a streamed answer, one after the other.
///
/// An event that lies in one chunk of the connection is a slice of it. No more is read from the connection than is asked for:
/// while nobody polls, at most one chunk waits here, and the server is held back by TCP. After an error, or the end, it yields
/// `None`.
///
/// Dropping it closes the connection, unless the answer has been read to its end; on HTTP/2, which only a caller's own HTTP
/// client speaks, it cancels the stream.
///
/// # Errors
///
/// | what happens | kind |
/// |---|---|
/// | the connection breaks | `StreamCut` |
/// | what comes is no HTTP, or an event is longer than 16 MiB | `Protocol` |
/// | a time limit of the caller's own HTTP client passes | `Timeout` |
///
/// That the answer ends is no error here: whether it was whole, the worker knows.
pub struct Frames {
    /// `None` after the end, or an error.
    body: Option<Body>,
    events: SseDecoder,
    secrets: Secrets,
    /// Whether the last event was named `error`.
    is_named_error: bool,
    /// Bytes that came behind the last event.
    behind: usize,
}

/// How much may come behind the event that is known to be the last one; where it is more, it is not the end of an answer.
const BEHIND: usize = 64 * 1024;

impl Frames {
    pub(super) fn new(body: Body, secrets: Secrets) -> Self {
        Self { body: Some(body), events: SseDecoder::new(), secrets, is_named_error: false, behind: 0 }
    }

    /// Frames of a body that has come already.
    #[cfg(test)]
    pub(crate) fn of_body(body: impl Into<reqwest::Body>) -> Self {
        Self::new(Body::Client(body.into()), Secrets::default())
    }

    /// Returns what a frame means that is an error instead of a piece of the answer; `None` where it is none.
    ///
    /// As [`classify_frame`](error::classify_frame), without the keys that the server may echo. Any frame is an error whose
    /// event is [named so](Self::is_named_error).
    #[must_use]
    pub fn error_of(&self, frame: &[u8]) -> Option<WorkerError> {
        let clean = |text: &str| self.secrets.clean(text).into_owned();
        if self.is_named_error { Some(error::of_named_error(frame, &clean)) } else { error::of_frame(frame, &clean) }
    }

    /// Returns whether the event that came last is named `error`, whatever its data is.
    #[must_use]
    pub const fn is_named_error(&self) -> bool {
        self.is_named_error
    }

    /// Makes the error of a frame that is no piece of an answer in any way that is known; keeps it as the error's body.
    #[must_use]
    pub fn unreadable(&self, frame: &[u8], why: &serde_json::Error) -> WorkerError {
        // Not as its source: it may quote the frame.
        let error = WorkerError::new(Kind::Protocol, format!("the server sent an event that cannot be read: {why}"));
        self.secrets.take_out_of(error.with_body(String::from_utf8_lossy(frame)))
    }

    /// Returns whether the body has ended, so that what this yields now is all that is left of it.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.body.is_none()
    }

    /// Waits for the end of the body behind the event that is known to be the last one; what comes before it is passed over.
    ///
    /// A connection whose answer has been read to its end is used again, and any other closed when this is dropped. So it is
    /// worth a moment, and no more: the answer is there already. Of a body that goes on and on 64 KiB are passed over.
    pub fn finish(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(body) = &mut self.body {
            let more = ready!(body.poll_data(cx)).and_then(Result::ok);
            self.behind += more.as_ref().map_or(0, Bytes::len);
            if more.is_none() || self.behind > BEHIND {
                self.body = None;
            }
        }
        Poll::Ready(())
    }
}

impl Stream for Frames {
    type Item = Result<Bytes, WorkerError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            match this.events.next_event() {
                Some(Ok(event)) => {
                    this.is_named_error = event.name().is_some_and(|name| name == "error");
                    return Poll::Ready(Some(Ok(event.into_data())));
                }
                Some(Err(error)) => {
                    this.body = None;
                    let what = "the server sent an event that is too long";
                    return Poll::Ready(Some(Err(WorkerError::new(Kind::Protocol, what).with_source(error))));
                }
                None => {}
            }
            let Some(body) = &mut this.body else { return Poll::Ready(None) };
            match ready!(body.poll_data(cx)) {
                Some(Ok(data)) => this.events.push(data),
                Some(Err(error)) => {
                    this.body = None;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    this.body = None;
                    this.events.finish();
                }
            }
        }
    }
}

impl fmt::Debug for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frames").finish_non_exhaustive()
    }
}
