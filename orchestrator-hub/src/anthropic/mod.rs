//! Anthropic's API, as clients of it speak it.
//!
//! Workers are told what is asked for in OpenAI's words, as everywhere here: `body` is what a client may say, `prompt`
//! and `tools` turn it into that, and `message` and `stream` put the answer back into Anthropic's.

mod body;
mod fault;
mod message;
pub(crate) mod messages;
mod prompt;
mod stream;
mod tools;

pub(crate) use fault::{Error, status as fault_status};
pub(crate) use messages::messages;
