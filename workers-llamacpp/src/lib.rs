//! The worker of llama.cpp's own server, `llama-server`.
//!
//! [`LlamaCpp`] speaks the server's routes for chats and for raw prompts, never has more requests at it than it has slots,
//! sends the turns of a session to the slot that keeps its cache, and goes on with an answer that another worker began.
//! [`LlamaTokens`] counts tokens as the model does, and [`LlamaEmbedder`] makes vectors. What is common to all servers of
//! OpenAI's API is the business of [`workers_openai`].
//!
//! | module | holds |
//! |---|---|
//! | `worker` | what users hold: the worker, its builder, the choice of the route |
//! | `native` | `/completion`: request, and answer with token ids |
//! | `pin` | which slot answers whom |
//! | `server` | what the server says of itself: properties, metrics, slots |
//! | [`wire`] | the types of the server's own routes |

mod counter;
mod embedder;
mod native;
mod pin;
mod registry;
mod server;
pub mod wire;
mod worker;

pub use counter::LlamaTokens;
pub use embedder::LlamaEmbedder;
pub use worker::{LlamaCpp, LlamaCppBuilder, Route};
