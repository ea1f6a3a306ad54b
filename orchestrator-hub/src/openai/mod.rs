//! OpenAI's API, as clients of it speak it.

mod body;
mod chat;
mod chunks;
mod completion;
mod embeddings;
mod fault;
mod head;
mod logprobs;
mod models;
mod object;
mod prompt;

pub(crate) use chat::chat;
pub(crate) use completion::completion;
pub(crate) use embeddings::embeddings;
pub(crate) use fault::body as fault_body;
pub(crate) use models::{model, models, unknown};
