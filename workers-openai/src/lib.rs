//! Workers of servers that speak OpenAI's API, which most model servers do.

pub mod answer;
pub mod chat;
mod chunk;
pub mod client;
pub mod completion;
pub mod error;
pub mod sse;
pub mod wire;
