//! From chunks to events.

use std::num::NonZeroUsize;
use std::time::Duration;

use bytes::Bytes;

use super::field::Field;
use super::lines::Lines;
use super::pending::Pending;
use super::{SseError, SseEvent};

const DEFAULT_LIMIT: NonZeroUsize = NonZeroUsize::new(16 << 20).expect("not zero");

/// Decodes a stream of server-sent events that comes in chunks.
///
/// Chunks go in by [`push`](Self::push), events come out of [`next_event`](Self::next_event) until it says `None`, which
/// means that it needs more. When the response has ended, [`finish`](Self::finish) says so, and `next_event` hands out what
/// is left. Where the chunks were cut does not matter to what comes out.
///
/// An event that lies in one chunk and has one `data` line is handed out as slices of the chunk: nothing is copied, nothing
/// allocated. Any other goes through a buffer that is kept for the next, and its data is allocated once.
///
/// **An unfinished event at the end.** The specification drops an event that no blank line has ended. Some servers leave
/// out the blank line behind their last event, and some even the end of its line. So the decoder hands out what is there
/// when it has data. When the connection was cut this is half an event: a caller that can't parse the last event should
/// take the stream for cut.
///
/// **The limit** holds for each line, and for the data of each event. It is 16 MiB, unless set by
/// [`with_limit`](Self::with_limit): long enough for a whole prompt in one event, as llama.cpp sends it at the end. Besides
/// its chunk a decoder holds no more than a line, an event's data and name, and an id.
///
/// # Examples
///
/// ```
/// use bytes::Bytes;
/// use workers_openai::sse::SseDecoder;
///
/// let mut decoder = SseDecoder::new();
/// decoder.push(Bytes::from_static(b": hello\r\n\r\ndata: {\"a\":1}\r\n\r\ndata: [DO"));
/// let event = decoder.next_event().expect("a whole event")?;
/// assert_eq!(event.data(), "{\"a\":1}");
/// assert!(decoder.next_event().is_none());
///
/// decoder.push(Bytes::from_static(b"NE]\n"));
/// assert!(decoder.next_event().is_none());
/// decoder.finish();
/// assert_eq!(decoder.next_event().expect("the rest")?.data(), "[DONE]");
/// # Ok::<_, workers_openai::sse::SseError>(())
/// ```
#[derive(Debug)]
pub struct SseDecoder {
    lines: Lines,
    pending: Pending,
    state: State,
    limit: NonZeroUsize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// No chunk comes any more.
    Finished,
    /// No event comes any more.
    Over,
}

impl Default for SseDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl SseDecoder {
    /// Makes a decoder with a limit of 16 MiB.
    pub fn new() -> Self {
        Self::with_limit(DEFAULT_LIMIT)
    }

    /// Makes a decoder that takes no line, and no event's data, of more than `limit` bytes.
    pub fn with_limit(limit: NonZeroUsize) -> Self {
        Self { lines: Lines::new(limit), pending: Pending::default(), state: State::Open, limit }
    }

    /// Takes the next bytes of the stream.
    ///
    /// Pushing before `next_event` has said `None` is allowed, and costs a copy of what is left and of the new chunk.
    /// After `finish`, or an error, chunks are ignored.
    pub fn push(&mut self, chunk: Bytes) {
        if self.state == State::Open {
            self.lines.push(chunk);
        }
    }

    /// Says that the stream has ended, so that `next_event` hands out what is left, the unfinished event included.
    pub fn finish(&mut self) {
        if self.state == State::Open {
            self.state = State::Finished;
        }
    }

    /// Returns the next event, or `None` when it takes more bytes, or the stream is over.
    ///
    /// # Errors
    ///
    /// When a line, or an event's data, passes the limit. The stream is over then.
    pub fn next_event(&mut self) -> Option<Result<SseEvent, SseError>> {
        if self.state == State::Over {
            return None;
        }
        match self.whole_event() {
            None if self.state == State::Finished => self.last_event(),
            Some(Err(error)) => {
                self.close();
                Some(Err(error))
            }
            next => next,
        }
    }

    /// Returns how long the server asks to wait before connecting again: its last valid `retry` line so far.
    pub fn retry(&self) -> Option<Duration> {
        self.pending.retry()
    }

    #[inline]
    fn whole_event(&mut self) -> Option<Result<SseEvent, SseError>> {
        loop {
            let line = match self.lines.next_line() {
                Ok(line) => line?,
                Err(error) => return Some(Err(error)),
            };
            if line.bytes.is_empty() {
                if let Some(event) = self.pending.dispatch() {
                    return Some(Ok(event));
                }
            } else if let Err(error) = self.pending.take(Field::from(line), self.limit) {
                return Some(Err(error));
            }
        }
    }

    fn last_event(&mut self) -> Option<Result<SseEvent, SseError>> {
        let taken = self.lines.unfinished().map_or(Ok(()), |line| self.pending.take(Field::from(line), self.limit));
        self.close();
        taken.map(|()| self.pending.dispatch()).transpose()
    }

    fn close(&mut self) {
        self.state = State::Over;
        self.lines.release();
    }
}
