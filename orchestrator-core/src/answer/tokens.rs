use std::fmt;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use futures_util::Stream;

use crate::answer::buffered::{Pump, Reader};
use crate::answer::direct::DirectReader;
use crate::error::Error;
use crate::token::TokenEvent;

/// The events of an answer, as a pipeline with a [`StreamStage`](crate::answer::StreamStage) hands them on.
///
/// A stream of events, the last of which is the terminal one or an error. The [`Answer`](crate::answer::Answer) that it
/// came from still owns the request: when that is dropped, this ends as cancelled. So does the request when this is dropped
/// before its end.
pub struct Tokens(Kind);

enum Kind {
    Buffered(Reader),
    Direct(DirectReader),
}

impl Tokens {
    pub(crate) const fn buffered(reader: Reader) -> Self {
        Self(Kind::Buffered(reader))
    }

    pub(crate) const fn direct(reader: DirectReader) -> Self {
        Self(Kind::Direct(reader))
    }

    /// The task that fills the buffer, to be spawned once this is in the caller's reach.
    pub(crate) const fn take_pump(&mut self) -> Option<Pump> {
        match &mut self.0 {
            Kind::Buffered(reader) => reader.take_pump(),
            Kind::Direct(_) => None,
        }
    }

    pub(crate) fn poll_event(&mut self, cx: &mut TaskContext<'_>) -> Poll<Option<Result<TokenEvent, Error>>> {
        match &mut self.0 {
            Kind::Buffered(reader) => reader.poll_event(cx),
            Kind::Direct(reader) => reader.poll_event(cx),
        }
    }
}

impl Stream for Tokens {
    type Item = Result<TokenEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        self.poll_event(cx)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}
