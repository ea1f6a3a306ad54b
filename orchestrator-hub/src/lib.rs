//! Pipelines as a server: OpenAI's and Anthropic's APIs in front of a [`Service`](orchestrator_config::Service).
//!
//! [`Gateway`] turns requests into responses; [`server`] is what listens.

mod answer;
mod anthropic;
mod fault;
mod gateway;
mod ids;
mod json;
mod keys;
mod openai;
mod openapi;
pub mod server;

pub use gateway::{Figures, Gateway};
pub use keys::{Key, Keys};
