use std::fmt;

use futures_util::Stream;

use crate::error::WorkerError;
use crate::runtime::cell::lock;
use crate::token::spawned::Keeps;
use crate::token::{Pulse, TokenEvent, TokenStream};

/// Streams that follow one another as one: for workers that go on with another call where one has failed.
///
/// What the stream around them keeps, such as its slot, it keeps until it and the tasks of all that [ran](Self::run) are gone.
/// What one of them keeps by itself goes with that one: unlike with [`TokenStream::wrap`], where both are the same.
///
/// ```
/// use futures_util::StreamExt;
/// use orchestrator_core::token::{Relay, TokenStream};
///
/// fn one_after_the_other(first: TokenStream, second: TokenStream) -> TokenStream {
///     let relay = Relay::default();
///     relay.run(&first);
///     relay.run(&second);
///     relay.around(first.chain(second))
/// }
/// ```
#[derive(Clone, Default)]
pub struct Relay {
    keeps: Keeps,
    pulse: Pulse,
}

impl Relay {
    /// Says that a stream is one of them, and the one that runs from now on: its [`Pulse`] is that of the stream around them.
    pub fn run(&self, stream: &TokenStream) {
        if let Some(keeps) = stream.keeps() {
            lock(keeps).around = Some(self.keeps.clone());
        }
        self.pulse.follow(stream.pulse().cloned());
    }

    /// Makes the stream around them.
    #[must_use]
    pub fn around<S>(self, stream: S) -> TokenStream
    where
        S: Stream<Item = Result<TokenEvent, WorkerError>> + Send + 'static,
    {
        TokenStream::from_stream(stream).with_keeps(self.keeps).with_pulse(self.pulse)
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").finish_non_exhaustive()
    }
}
