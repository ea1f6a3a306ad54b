//! From the frames of a streamed answer to its events, on `/v1/chat/completions` and `/v1/completions` alike.
//!
//! [`tokens`] is what workers use. `pieces` reads what is new out of a frame, with `template` where only the text is new,
//! `ending` keeps what is known of the end, `reason` knows the words for it, and `reading` decides whether an answer was whole.

mod calls;
mod ending;
mod fields;
mod likely;
mod pieces;
mod reading;
mod reason;
mod template;
#[cfg(test)]
mod tests;

pub use reading::tokens;
