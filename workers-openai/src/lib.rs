//! Workers of servers that speak OpenAI's API, which most model servers do.

pub mod client;
pub mod error;
pub mod sse;
pub mod wire;
