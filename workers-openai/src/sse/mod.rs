//! Server-sent events, as the [WHATWG specification] interprets them.
//!
//! [`SseDecoder`] turns the bytes of a response, however they are cut, into [`SseEvent`]s. Reading the bytes, and knowing
//! what an event's data means, is left to others. So is reconnecting: an answer of a model can't be picked up again, so
//! `id` and `retry` are read and handed on, and nothing is made of them.
//!
//! [WHATWG specification]: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation

mod decoder;
mod error;
mod event;
mod field;
mod lines;
mod pending;
#[cfg(test)]
mod tests;

pub use decoder::SseDecoder;
pub use error::SseError;
pub use event::SseEvent;
