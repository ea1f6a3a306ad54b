//! Tokens on their way from a worker to the caller.
//!
//! [`TokenEvent`] is what flows, [`TokenStream`] is what it flows through. Filters over a stream live in
//! `stages-post`, the way to the caller in [`answer`](crate::answer). [`TokenCounter`] says how many a text will be.

mod check;
mod counter;
mod emitter;
mod event;
mod in_stage;
mod observer;
mod pulse;
mod relay;
mod spawned;
mod stream;
#[cfg(test)]
mod tests;

pub use check::{Check, Fault, Verdict};
pub(crate) use counter::{BYTES_PER_TOKEN, PER_MESSAGE};
pub use counter::{EstimatedTokens, TokenCounter};
pub use emitter::Emitter;
pub use event::{Finish, FinishReason, Origin, TextDelta, TokenEvent, ToolCallDelta, Usage};
pub use observer::{End, Observer};
pub use pulse::Pulse;
pub use relay::Relay;
pub use stream::TokenStream;
