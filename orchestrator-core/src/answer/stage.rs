use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::time::Duration;

use crate::answer::{Tokens, buffered, direct};
use crate::context::Context;
use crate::error::InvalidInput;
use crate::stage::{Stage, StageConfig};
use crate::token::TokenStream;

/// The last stage of a token pipeline: the way of the tokens to the caller.
///
/// | | buffered (default) | direct |
/// |---|---|---|
/// | who pulls the worker's stream | a task per request | the caller |
/// | a slow reader | holds the model's slot only once the buffer is full | holds it |
/// | cost per token | a hop in batches | none |
///
/// With either, a reader that leaves what it could read untouched for [`reader_stall`](Self::reader_stall) is
/// cancelled, and its slot is freed.
#[derive(Debug, Clone)]
#[must_use]
pub struct StreamStage {
    buffer: Option<NonZeroUsize>,
    reader_stall: Duration,
}

impl Default for StreamStage {
    /// Buffered, 256 events, 10 s.
    fn default() -> Self {
        Self { buffer: NonZeroUsize::new(256), reader_stall: Duration::from_secs(10) }
    }
}

impl StreamStage {
    /// Buffers up to `events` events, beside the few that the reader has taken ahead.
    pub const fn buffered(mut self, events: NonZeroUsize) -> Self {
        self.buffer = Some(events);
        self
    }

    /// Lets the caller pull the worker's stream itself.
    pub const fn direct(mut self) -> Self {
        self.buffer = None;
        self
    }

    /// Sets how long a reader may leave its full buffer (direct: an event that is ready) untouched.
    pub const fn reader_stall(mut self, limit: Duration) -> Self {
        self.reader_stall = limit;
        self
    }
}

impl Stage<TokenStream> for StreamStage {
    type Out = Tokens;
    type Error = Infallible;

    async fn run(&self, cx: &Context, stream: TokenStream) -> Result<Tokens, Infallible> {
        cx.cell().start_streaming();
        Ok(match self.buffer {
            Some(events) => Tokens::buffered(buffered::start(cx, stream, events, self.reader_stall)),
            None => Tokens::direct(direct::start(cx, stream, self.reader_stall)),
        })
    }

    fn name(&self) -> &str {
        "stream"
    }

    fn check(&self) -> Result<(), InvalidInput> {
        if self.reader_stall.is_zero() {
            return Err(InvalidInput::new("reader_stall", "must be above zero"));
        }
        Ok(())
    }

    /// Inline: it only wraps a stream. Its depth, where it is placed with a queue, is 512.
    fn defaults(&self) -> StageConfig {
        StageConfig::new().inline()
    }
}
