//! From the events of an answer to the bytes of a response, whatever the words in which an API puts them.

mod events;
mod frame;
pub(crate) mod sse;
mod whole;

pub(crate) use events::{Events, Wording, begin};
pub(crate) use frame::{Frame, raw};
pub(crate) use whole::{Call, Whole, whole};
