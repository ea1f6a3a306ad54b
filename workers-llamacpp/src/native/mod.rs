//! What is asked on `/completion`, and how its answer is read.
//!
//! The route goes on with a text as it is, or with tokens, and its answer tells the tokens' ids. `prompt` makes the prompt,
//! `request` what stands beside it; `piece` reads an event of the answer, and `reading` makes the stream of them.

mod piece;
mod prompt;
mod reading;
mod request;

pub(crate) use prompt::prompt;
pub(crate) use reading::tokens;
pub(crate) use request::{native_seed as seed, request};
