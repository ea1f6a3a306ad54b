//! OpenAI's API, as clients of it speak it.

mod body;
pub(crate) mod chat;
mod chunks;
pub(crate) mod completion;
pub(crate) mod embeddings;
mod fault;
mod head;
mod logprobs;
pub(crate) mod models;
mod object;
mod prompt;
mod schema;

pub(crate) use chat::chat;
pub(crate) use completion::completion;
pub(crate) use embeddings::embeddings;
pub(crate) use fault::Error;
pub(crate) use models::{model, models, unknown};
