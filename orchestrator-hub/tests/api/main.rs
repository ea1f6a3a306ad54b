//! The gateway behind a real listener, in front of scripted workers.

mod chat;
mod completions;
mod embeddings;
mod forwarding;
mod injection;
mod messages;
mod passing;
mod ready;
mod wire;
