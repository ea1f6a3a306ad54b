use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::WorkerErrorKind;
use crate::testing::conformance::Refusal;
use crate::testing::server::{Reply, Request};
use crate::token::{FinishReason, Usage};

/// How an answer ends, for a [`Dialect`] to say on the wire.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Ending {
    /// Why.
    pub reason: FinishReason,
    /// What it took.
    pub usage: Usage,
}

/// Answers what is no inference.
type Side = dyn Fn(&Request) -> Option<Reply> + Send + Sync;

/// What good and bad answers consist of on one wire.
///
/// A streamed body is the [`opening`](Self::opening), texts, the ending and the [`marker`](Self::marker). What a dialect does
/// not say is not checked. Dialects that differ in little are made from one another:
///
/// ```
/// use orchestrator_core::testing::conformance::Dialect;
/// use orchestrator_core::testing::server::Reply;
///
/// let llama = Dialect::openai_chat().side(|request| match (request.method(), request.path()) {
///     ("GET", "/props") => Some(Reply::json(200, r#"{"total_slots":4}"#)),
///     _ => None,
/// });
/// ```
#[derive(Clone)]
#[must_use]
pub struct Dialect {
    pub(super) content_type: &'static str,
    pub(super) opening: Bytes,
    pub(super) noise: Bytes,
    pub(super) marker: Bytes,
    pub(super) marker_optional: bool,
    pub(super) oversize: Bytes,
    pub(super) nonsense: Bytes,
    pub(super) failure: Option<(Bytes, WorkerErrorKind)>,
    pub(super) refusals: Vec<Refusal>,
    pub(super) slots: Option<usize>,
    text: Arc<dyn Fn(&str) -> String + Send + Sync>,
    ending: Arc<dyn Fn(Ending) -> String + Send + Sync>,
    side: Arc<Side>,
}

impl Dialect {
    /// Says what a piece of text and an ending, with reason and usage, are on the wire: whole events.
    pub fn new(
        content_type: &'static str,
        text: impl Fn(&str) -> String + Send + Sync + 'static,
        ending: impl Fn(Ending) -> String + Send + Sync + 'static,
    ) -> Self {
        Self {
            content_type,
            opening: Bytes::new(),
            noise: Bytes::new(),
            marker: Bytes::new(),
            marker_optional: false,
            oversize: Bytes::new(),
            nonsense: Bytes::new(),
            failure: None,
            refusals: Vec::new(),
            slots: None,
            text: Arc::new(text),
            ending: Arc::new(ending),
            side: Arc::new(|_| None),
        }
    }

    /// Sets what comes before the first text and is none.
    pub fn opening(mut self, bytes: impl Into<Bytes>) -> Self {
        self.opening = bytes.into();
        self
    }

    /// Sets events that a reader must pass over: comments, pings, empty deltas.
    pub fn noise(mut self, bytes: impl Into<Bytes>) -> Self {
        self.noise = bytes.into();
        self
    }

    /// Sets what comes last in a whole stream. Without it the stream is cut, unless it is
    /// [optional](Self::marker_optional).
    pub fn marker(mut self, bytes: impl Into<Bytes>) -> Self {
        self.marker = bytes.into();
        self
    }

    /// Says whether a stream that has its ending is whole without the marker too.
    pub const fn marker_optional(mut self, optional: bool) -> Self {
        self.marker_optional = optional;
        self
    }

    /// Sets how an event begins that then goes on for ever without an end.
    pub fn oversize(mut self, beginning: impl Into<Bytes>) -> Self {
        self.oversize = beginning.into();
        self
    }

    /// Sets an event that means nothing: a protocol error.
    pub fn nonsense(mut self, event: impl Into<Bytes>) -> Self {
        self.nonsense = event.into();
        self
    }

    /// Sets the event with which a server says in the middle of a stream that it failed, and what kind of failure that is.
    pub fn failure(mut self, event: impl Into<Bytes>, kind: WorkerErrorKind) -> Self {
        self.failure = Some((event.into(), kind));
        self
    }

    /// Adds a way in which a server refuses a request.
    pub fn refusal(mut self, refusal: Refusal) -> Self {
        self.refusals.push(refusal);
        self
    }

    /// Sets how many calls the server takes at once, as [`side`](Self::side) replies or the worker's settings tell: no worker
    /// may have more slots than this.
    pub const fn slots(mut self, total: usize) -> Self {
        self.slots = Some(total);
        self
    }

    /// Answers calls beside the inference; for those that it gives `None` for, what was set before is asked.
    pub fn side(mut self, side: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let before = self.side;
        self.side = Arc::new(move |request| side(request).or_else(|| before(request)));
        self
    }

    pub(super) fn side_reply(&self, request: &Request) -> Option<Reply> {
        (self.side)(request)
    }

    pub(super) fn text(&self, text: &str) -> String {
        (self.text)(text)
    }

    pub(super) fn ending(&self, reason: FinishReason, tokens: u64) -> String {
        (self.ending)(Ending { reason, usage: Usage::new(3, tokens) })
    }

    /// The head of a streamed answer and its opening.
    pub(super) fn begin(&self) -> Reply {
        let head = Reply::chunked(200, self.content_type);
        if self.opening.is_empty() { head } else { head.chunk(&self.opening) }
    }

    /// A streamed answer up to its first texts.
    pub(super) fn texts(&self, texts: &[&str]) -> Reply {
        texts.iter().fold(self.begin(), |reply, text| reply.chunk(self.text(text)))
    }

    /// All bytes of a streamed body.
    pub(super) fn body(&self, texts: &[&str], reason: FinishReason) -> Vec<u8> {
        let mut body = self.opening.to_vec();
        for text in texts {
            body.extend_from_slice(self.text(text).as_bytes());
        }
        body.extend_from_slice(self.ending(reason, texts.len() as u64).as_bytes());
        body.extend_from_slice(&self.marker);
        body
    }

    /// A whole streamed answer, in one chunk.
    pub(super) fn answer(&self, texts: &[&str]) -> Reply {
        Reply::chunked(200, self.content_type).chunk(self.body(texts, FinishReason::Stop)).last_chunk()
    }
}

impl fmt::Debug for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialect").field("content_type", &self.content_type).finish_non_exhaustive()
    }
}
