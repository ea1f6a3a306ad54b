//! Workers of servers that speak OpenAI's API, which most model servers do.
//!
//! | start reading at | for |
//! |---|---|
//! | [`OpenAi`] | a worker of any such server, with a [`Preset`] where it differs from others |
//! | [`OpenAiEmbedder`] | vectors of texts |
//! | [`probe`] | finding out what kind of server answers |
//! | [`client`] | a worker of one's own for a server that speaks HTTP and JSON: with [`chat`], [`completion`] and [`answer`] |
//! | [`wire`], [`sse`] | the types of the API, and its streams, by themselves |

pub mod answer;
pub mod chat;
mod chunk;
pub mod client;
pub mod completion;
mod embedder;
pub mod error;
pub mod probe;
pub mod sse;
pub mod wire;
mod worker;

pub use embedder::OpenAiEmbedder;
pub use worker::{OpenAi, OpenAiBuilder, Preset};
