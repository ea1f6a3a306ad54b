//! What a worker needs of a streamed chunk, and nothing else.
//!
//! The types of [`wire`](crate::wire) keep everything and own what they keep. That is too much work for every token, so
//! these borrow from the event's data and skip what they don't need, whatever it is. What is `null` or missing is the same
//! to them. They read the chunks of chat completions and of completions alike.

mod lenient;
mod surrogates;
#[cfg(test)]
mod tests;
mod view;

pub(crate) use lenient::missing;
pub(crate) use surrogates::mended;
pub(crate) use view::{Choice, Chunk, ToolCallDelta, Usage};
