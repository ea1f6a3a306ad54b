//! What a server's refusal means, decided once, here: status, headers and body become a [`WorkerError`].
//!
//! Every server words its refusals in its own way; [`classify`] knows the shapes of OpenAI, llama.cpp, vLLM, TGI, Ollama,
//! OpenRouter and Mistral, and takes the status's word where it does not know the body. What goes wrong on the way to the
//! server is the business of [`client`](crate::client).
//!
//! [`WorkerError`]: orchestrator_core::error::WorkerError

mod classify;
mod config;
mod context;
mod kind;
mod retry_after;
mod said;

pub use classify::{classify, classify_frame};
pub(crate) use classify::{of_frame, of_named_error, of_response, of_success};
pub use config::ConfigError;
